//! Gates: what a route demands of whoever comes to it.

use strongroom_model::Action;

/// What a route demands. The permission table maps every route to one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gate {
    /// Nothing, for the stated reason.
    Public(&'static str),
    /// Any valid credential: what it shows is the caller's own.
    SignedIn,
    /// A person of the provider who runs the server.
    Operator,
    /// A decision about this action.
    Needs(Action),
}
