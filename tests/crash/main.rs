//! The product's program: killed at any moment, and started where it should not start.
