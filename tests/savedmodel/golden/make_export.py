"""Made keras-3.15-export beside it, with Keras 3.15.1 on TensorFlow 2.21.0. It is not to be made again.

For 144 numbers from -1 to 1 it gave 0.26539654 0.28136069 0.45324287 and 0.26193452 0.35600513 0.38206032.
"""

import keras
import numpy as np

keras.utils.set_random_seed(1)
layers = keras.layers
model = keras.Sequential(
    [
        layers.Input((6, 6, 2), name="image"),
        layers.Conv2D(3, 3, padding="same", activation="relu", name="first"),
        layers.BatchNormalization(name="norm"),
        layers.MaxPooling2D(3),
        layers.Flatten(),
        layers.Dense(3, activation="softmax", name="last"),
    ]
)
inputs = np.linspace(-1, 1, 144, dtype="f4").reshape(2, 6, 6, 2)
model.compile("sgd", "mse")
model.fit(inputs, np.full((2, 3), 0.5, "f4"), epochs=2, verbose=0, batch_size=2)
model.export("keras-3.15-export", verbose=False)
print(model.predict(inputs, verbose=0).tolist())
