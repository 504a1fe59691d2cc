//! Days and lists as files.

use super::{merchant_of, told, window_of};
use crate::{
    app::App,
    clock::rfc3339,
    http::{
        principal::Principal,
        problem::{Problem, ProblemBody},
    },
    rights::Right,
    xlsx::xlsx,
};
use axum::{
    extract::{Path, Query, State, rejection::QueryRejection},
    http::header,
    response::{IntoResponse, Response},
};
use reconcile::{
    export,
    table::{Table, flat, sheets},
};
use serde::Deserialize;
use std::sync::Arc;

/// As which file.
#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
pub(crate) struct FileQuery {
    /// `csv` (without it) or `xlsx`.
    #[serde(default)]
    #[param(value_type = Option<String>)]
    pub(crate) format: FileFormat,
    /// The one that payments are taken for, without it.
    pub(crate) merchant: Option<String>,
}

/// A kind of file.
#[derive(Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum FileFormat {
    #[default]
    Csv,
    Xlsx,
}

pub(crate) fn bad_file() -> Problem {
    super::mapping::bad_query("Expected: format (csv or xlsx), and maybe merchant.")
}

/// A day as a file: a CSV with each finding once, or an XLSX with a summary and a sheet for each kind of finding.
#[utoipa::path(get, path = "/api/v1/reconciliations/{day}/export", tag = "finance",
    params(("day" = String, Path, description = "`2026-11-26`, in the time zone of the house"), FileQuery), responses(
    (status = 200, body = Vec<u8>, content_type = "text/csv"),
    (status = 403, body = ProblemBody, content_type = "application/problem+json", description = "`no_right`"),
    (status = 404, body = ProblemBody, content_type = "application/problem+json", description = "No such day")))]
pub(crate) async fn export(
    State(app): State<Arc<App>>,
    who: Principal,
    Path(day): Path<String>,
    query: Result<Query<FileQuery>, QueryRejection>,
) -> Result<Response, Problem> {
    who.must_have(Right::Finance)?;
    let Query(query) = query.map_err(|_| bad_file())?;
    let merchant = merchant_of(&app, query.merchant.as_deref())?;
    let (date, window) = window_of(&app, &day)?;
    let told = told(&app, &merchant, window).await?;
    let tables = match query.format {
        FileFormat::Csv => vec![flat(&told, rfc3339)],
        FileFormat::Xlsx => sheets(&told, rfc3339),
    };
    let name = format!("reconciliation-{}-{date}", merchant.as_str());
    app.store.audit(&super::audit(&who, "reconciliation_export", "ok", &name)).await?;
    file(tables, query.format, &name).await
}

/// Tables as a download.
pub(crate) async fn file(tables: Vec<Table>, format: FileFormat, name: &str) -> Result<Response, Problem> {
    let (kind, ending) = match format {
        FileFormat::Csv => ("text/csv; charset=utf-8", "csv"),
        FileFormat::Xlsx => ("application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", "xlsx"),
    };
    let task = tokio::task::spawn_blocking(move || match format {
        FileFormat::Csv => Ok(tables.iter().map(export::csv).collect::<String>().into_bytes()),
        FileFormat::Xlsx => xlsx(&tables),
    });
    let bytes = task.await.map_err(|_| Problem::INTERNAL)?.map_err(|error| {
        tracing::error!(%error, "a workbook could not be made");
        Problem::INTERNAL
    })?;
    let disposition = format!("attachment; filename=\"{name}.{ending}\"");
    Ok(([(header::CONTENT_TYPE, kind.to_owned()), (header::CONTENT_DISPOSITION, disposition)], bytes).into_response())
}
