//! The operating system's random generator.

use ring::rand::{SecureRandom, SystemRandom};
use strongroom_model::{NoRandomness, Rng};

/// Randomness from the operating system for every call; nothing is kept between calls, so a copied
/// machine does not repeat it.
#[derive(Debug, Clone)]
pub struct SystemRng(SystemRandom);

impl SystemRng {
    /// The operating system's generator.
    pub fn new() -> Self {
        Self(SystemRandom::new())
    }
}

impl Default for SystemRng {
    fn default() -> Self {
        Self::new()
    }
}

impl Rng for SystemRng {
    fn fill(&self, into: &mut [u8]) -> Result<(), NoRandomness> {
        self.0.fill(into).map_err(|_| NoRandomness)
    }
}
