//! The export of a collection over HTTP, page by page.

use axum::response::IntoResponse;
use strongroom_vault::records;

use crate::extract::{
    CollectionPath, Format, FormatQuery, Page, PageQuery, Projection, ProjectionQuery, TenantCaller,
};
use crate::problem::Problem;
use crate::reply::Reply;
use crate::routes::{Routes, routes};
use crate::wire::{write_csv, write_lines};

/// Under a tenant.
pub(crate) fn routes() -> Routes {
    Routes::default().routes(routes!(export))
}

/// Take a page of records out
///
/// As NDJSON, one record a line, or as CSV, whose first page begins with a line of names. Follow `Link`,
/// or send the cursor in `Strongroom-Next`, for the next page; the page without them is the last. Each
/// page is decided on and put on record by itself. `docs/export.md` has the columns and how cells are
/// kept from being formulas.
#[utoipa::path(get, path = "/collections/{collection}/records:export",
    operation_id = "export_records", tag = "records",
    params(FormatQuery, PageQuery, ProjectionQuery),
    responses((status = 200, description = "A page of them.",
        content((String = "application/x-ndjson"), (String = "text/csv")))))]
async fn export(
    TenantCaller(caller): TenantCaller,
    CollectionPath(collection): CollectionPath,
    format: Format,
    Projection(wanted): Projection,
    page: Page,
) -> Result<impl IntoResponse, Problem> {
    let wanted = records::ListRecords { collection, wanted, page: page.wanted.clone() };
    let answer = records::export(&caller.vault, &caller.ctx, wanted).await?;
    let (bytes, media_type) = match format {
        Format::Ndjson => (write_lines(&answer.value.records.items), "application/x-ndjson"),
        Format::Csv => {
            let with_names = page.wanted.cursor.is_none();
            (write_csv(&answer.value, with_names), "text/csv; charset=utf-8; header=present")
        }
    };
    Ok(Reply::export(&answer, &page, bytes, media_type))
}
