//! The body of an answer that is a file: a piece is opened when the one before it has been taken.

use axum::body::Body;
use bytes::Bytes;
use futures_util::stream::try_unfold;
use strongroom_vault::files::FileReader;

use crate::extract::Caller;

/// That a file ends before its end. Why stands in the log, and what was refused also in the audit log.
#[derive(Debug, thiserror::Error)]
#[error("the file broke off")]
struct BrokeOff;

/// The body.
pub(super) fn of(caller: Caller, reader: FileReader) -> Body {
    Body::from_stream(try_unfold((caller, reader), |(caller, mut reader)| async move {
        let piece = reader.next(&caller.vault, &caller.ctx).await.map_err(|error| {
            let request_id = caller.ctx.about().request;
            tracing::info!(%request_id, code = error.code(), "a file broke off");
            BrokeOff
        })?;
        Ok::<_, BrokeOff>(piece.map(|piece| (Bytes::from_owner(piece), (caller, reader))))
    }))
}
