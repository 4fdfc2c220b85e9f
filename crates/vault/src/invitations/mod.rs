//! Invitations: redeemed once.

mod redeem;

pub use redeem::{Redeemed, redeem};
