//! Users: invited, listed, changed.

mod change;
mod invite;
mod list;
mod lookup;
mod upsert;

pub use change::{ChangeUser, change, invite_again};
pub(crate) use invite::{INVITATION_SECONDS, InvitationOf, NewUser, plant, plant_invitation};
pub use invite::{InviteUser, InvitedUser, invite};
pub use list::{UserView, list, show};
pub use lookup::look_up;
pub use upsert::{UpsertUser, UpsertedUser, upsert};
