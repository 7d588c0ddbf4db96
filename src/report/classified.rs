//! A picture and what a model says about it.

use crate::wire::png::Image;

/// A picture and what a model says about it.
#[derive(Clone, Debug, PartialEq)]
pub struct ClassifiedImage<'a> {
    pub image: Image,
    /// The class that the model found.
    pub predicted: &'a str,
    /// The class that it is, if that is known.
    pub truth: Option<&'a str>,
    /// The probability the model gave to its class, from 0 to 1.
    pub confidence: f32,
}

impl<'a> ClassifiedImage<'a> {
    /// The true class, if the model missed it.
    pub fn missed(&self) -> Option<&'a str> {
        self.truth.filter(|&truth| truth != self.predicted)
    }
}
