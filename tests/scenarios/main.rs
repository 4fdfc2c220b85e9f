//! The product from outside: what a provider's tenants live through.
