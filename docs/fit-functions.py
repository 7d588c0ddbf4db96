"""Finds the coefficients of src/kernels/math.rs, src/kernels/scalar.rs and src/ops/random.rs.

Each function is reduced to a smooth one on a short interval, and that one is fitted by least
squares at Chebyshev nodes (which is within a small factor of minimax), weighted so that the error
counts as it enters the result. Coefficients are rounded to their format from the lowest power up,
and those of higher powers fitted again, so that they make up for the rounding.

Run with Python 3 and mpmath 1.3: python docs/fit-functions.py
"""

from mpmath import (cos, erf, erfc, erfinv, exp, expm1, fabs, floor, frexp, ldexp, log, log1p,
                    lu_solve, matrix, mp, mpf, nstr, pi, sqrt)

mp.prec = 200


def rounded(value, bits):
    """The nearest binary float of `bits` significant bits."""
    mantissa, exponent = frexp(value)
    return ldexp(floor(ldexp(mantissa, bits) + mpf(1) / 2), exponent - bits)


def nodes(low, high, count):
    return [(low + high) / 2 + (high - low) / 2 * cos(pi * (2 * i + 1) / (2 * count))
            for i in range(count)]


def least_squares(rows, targets):
    a, b = matrix(rows), matrix(targets)
    return list(lu_solve(a.T * a, a.T * b))


def polynomial(name, f, low, high, degree, weight, bits):
    """f(x) ≈ Σ cᵢ xⁱ, with error(x)·weight(x) small."""
    points = nodes(mpf(low), mpf(high), 4 * (degree + 1))
    values, weights = [f(x) for x in points], [weight(x) for x in points]
    fixed = []
    while len(fixed) <= degree:
        first = len(fixed)
        rows = [[w * x**i for i in range(first, degree + 1)] for x, w in zip(points, weights)]
        rest = [w * (y - sum(c * x**i for i, c in enumerate(fixed)))
                for x, y, w in zip(points, values, weights)]
        fixed.append(rounded(least_squares(rows, rest)[0], bits))
    error = max(fabs(w * (y - sum(c * x**i for i, c in enumerate(fixed))))
                for x, y, w in ((x, f(x), weight(x)) for x in nodes(mpf(low), mpf(high), 400)))
    print(f"{name}: error 2^{nstr(log(error, 2), 4)}")
    show(fixed, bits)


def rational(name, f, low, high, numerator, denominator, bits):
    """f(x) ≈ Σ pᵢ xⁱ / (1 + Σ qᵢ xⁱ), of small relative error, by repeated linear least squares."""
    points = nodes(mpf(low), mpf(high), 8 * (numerator + denominator + 1))
    values = [f(x) for x in points]
    scale = [mpf(1)] * len(points)
    for _ in range(8):
        rows = [[x**i / (y * s) for i in range(numerator + 1)]
                + [-x**i / s for i in range(1, denominator + 1)]
                for x, y, s in zip(points, values, scale)]
        c = least_squares(rows, [1 / s for s in scale])
        p, q = c[:numerator + 1], [mpf(1)] + c[numerator + 1:]
        scale = [sum(c * x**i for i, c in enumerate(q)) for x in points]
    p, q = [rounded(c, bits) for c in p], [rounded(c, bits) for c in q]

    def value(x):
        return sum(c * x**i for i, c in enumerate(p)) / sum(c * x**i for i, c in enumerate(q))

    error = max(fabs(value(x) / f(x) - 1) for x in nodes(mpf(low), mpf(high), 400))
    print(f"{name}: error 2^{nstr(log(error, 2), 4)}")
    show(p, bits)
    show(q, bits)


def show(coefficients, bits):
    """The shortest decimals that read back to the same floats."""
    for c in coefficients:
        digits = next(d for d in range(1, 18) if rounded(mpf(nstr(c, d)), bits) == c)
        print("   ", nstr(c, digits, min_fixed=-5, max_fixed=20))


def near_zero(f, limit):
    """f, with its value at 0."""
    return lambda x: limit if fabs(x) < mpf(2) ** -60 else f(x)


def constants():
    for bits in (24, 53):
        high = rounded(log(2), bits)
        print(f"ln 2 in two floats of {bits} bits, 1 / ln 2")
        show([high, rounded(log(2) - high, bits), rounded(1 / log(2), bits)], bits)
    print("1 / sqrt(2 pi) in two floats of 24 bits")
    high = rounded(1 / sqrt(2 * pi), 24)
    show([high, rounded(1 / sqrt(2 * pi) - high, 24)], 24)


def single():
    edge = log(2) / 2 * (1 + mpf(2) ** -20)
    polynomial("exp: (e^r - 1 - r) / r^2", near_zero(lambda r: (expm1(r) - r) / r**2, mpf(1) / 2),
               -edge, edge, 5, lambda r: r**2 / exp(r), 24)
    polynomial("ln: (ln(1 + f) - f) / f^2", near_zero(lambda f: (log1p(f) - f) / f**2, -mpf(1) / 2),
               sqrt(mpf(1) / 2) - 1, sqrt(mpf(2)) - 1, 9,
               near_zero(lambda f: f**2 / log1p(f), mpf(0)), 24)

    # Flat enough for a polynomial over 0 ≤ z ≤ 15, in t = (z - 2.5) / (z + 2.5).
    def flat(t):
        z = mpf(5) / 2 * (1 + t) / (1 - t)
        return exp(z**2 / 2) * erfc(z / sqrt(mpf(2))) / 2 * (1 + z)
    polynomial("tail: e^(z^2/2) (1 + z) Phi(-z)", flat, -1, mpf(5) / 7, 10,
               lambda t: 1 / flat(t), 24)

    polynomial("erf: erf(√u) / √u - 1",
               near_zero(lambda u: erf(sqrt(u)) / sqrt(u) - 1, 2 / sqrt(pi) - 1), 0, mpf(3) / 4, 6,
               lambda u: 1, 24)


def double():
    edge = log(2) / 2 * (1 + mpf(2) ** -40)
    polynomial("exp, f64", near_zero(lambda r: (expm1(r) - r) / r**2, mpf(1) / 2),
               -edge, edge, 10, lambda r: r**2 / exp(r), 53)
    # ln(1 + f) = 2 atanh(g), g = f / (2 + f), w = g²
    top = ((sqrt(mpf(2)) - 1) / (sqrt(mpf(2)) + 1)) ** 2
    polynomial("ln, f64: (2 atanh(g) / g - 2) / w",
               near_zero(lambda w: (log((1 + sqrt(w)) / (1 - sqrt(w))) / sqrt(w) - 2) / w,
                         mpf(2) / 3), 0, top, 7, lambda w: w, 53)
    # z / v where z is normal, truncated at ±2, and v in (-1, 1) its rank: erf(z/√2) = v·erf(√2)
    reach = erf(sqrt(mpf(2)))
    rational("truncated normal", near_zero(lambda w: sqrt(mpf(2)) * erfinv(reach * sqrt(w)) / sqrt(w),
                                   sqrt(pi / 2) * reach), 0, 1, 5, 5, 53)


constants()
single()
double()
