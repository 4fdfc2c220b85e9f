//! Where the vault's rows are: the row keys of this room, built from `strongroom_storage::keyspace`.

pub(crate) use strongroom_storage::keyspace::*;
