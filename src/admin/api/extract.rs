//! What a request says, or a refusal in JSON that names what is wrong with it.

use axum::Json;
use axum::extract::{FromRequest, FromRequestParts, OptionalFromRequest, OriginalUri, Path, Query, Request};
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use jiff::Timestamp;
use serde::de::DeserializeOwned;

use crate::admin::access::{Caller, see_only};
use crate::admin::answer;
use crate::operations::OperationError;
use crate::store::{Cursor, StoreError};
use crate::time_arg;

/// Rows of a listing where nobody says how many, and at most.
const ROWS: u64 = 100;
pub(in crate::admin) const MOST_ROWS: u64 = 500;

/// Why what was asked is not done.
#[derive(Debug)]
pub(in crate::admin) struct Problem(pub(in crate::admin) StatusCode, pub(in crate::admin) String);

impl Problem {
    pub(in crate::admin) fn asked(words: impl Into<String>) -> Self {
        Self(StatusCode::BAD_REQUEST, words.into())
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        answer::json(self.0, &self.1)
    }
}

impl From<OperationError> for Problem {
    fn from(error: OperationError) -> Self {
        let status = match &error {
            OperationError::Missing(_) => StatusCode::NOT_FOUND,
            OperationError::Refused(_)
            | OperationError::Failed(_)
            | OperationError::Store(StoreError::Unsupported(_)) => StatusCode::CONFLICT,
            OperationError::Store(_) => StatusCode::SERVICE_UNAVAILABLE,
        };
        Self(status, error.to_string())
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        OperationError::from(error).into()
    }
}

/// The parameters of the query; an unknown one is refused.
pub(in crate::admin) struct Asked<T>(pub(in crate::admin) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Asked<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let asked = Query::from_request_parts(parts, state).await;
        asked.map(|Query(asked)| Self(asked)).map_err(|problem| Problem::asked(problem.body_text()))
    }
}

/// What the path names.
pub(super) struct Named<T>(pub(super) T);

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for Named<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let named = Path::from_request_parts(parts, state).await;
        named.map(|Path(named)| Self(named)).map_err(|problem| Problem::asked(problem.body_text()))
    }
}

/// A JSON body; an unknown member is refused.
pub(super) struct Body<T>(pub(super) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Body<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let body = <Json<T> as FromRequest<S>>::from_request(request, state).await;
        body.map(|Json(body)| Self(body)).map_err(|problem| Problem(problem.status(), problem.body_text()))
    }
}

/// The same, where nothing need be said.
impl<T: DeserializeOwned, S: Send + Sync> OptionalFromRequest<S> for Body<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Option<Self>, Problem> {
        let body = <Json<T> as OptionalFromRequest<S>>::from_request(request, state).await;
        body.map(|body| body.map(|Json(body)| Self(body)))
            .map_err(|problem| Problem(problem.status(), problem.body_text()))
    }
}

/// Who asks, where they may act.
pub(in crate::admin) struct Operator(pub(in crate::admin) Caller);

impl<S: Send + Sync> FromRequestParts<S> for Operator {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Response> {
        let caller = parts.extensions.get::<Caller>().filter(|caller| caller.may_act()).cloned();
        // Within the API the path lacks what stands before it.
        let path = parts.extensions.get::<OriginalUri>().map_or(parts.uri.path(), |whole| whole.path());
        caller.map(Self).ok_or_else(|| see_only(path))
    }
}

/// How many rows, when `asked` were asked for.
pub(super) fn limit(asked: Option<u64>) -> Result<u64, Problem> {
    let limit = asked.unwrap_or(ROWS);
    let fits = (1..=MOST_ROWS).contains(&limit);
    fits.then_some(limit).ok_or_else(|| Problem::asked(format!("limit: expected 1 to {MOST_ROWS}")))
}

/// Where a page goes on.
pub(super) fn cursor(text: Option<&str>) -> Result<Option<Cursor>, Problem> {
    let read = |text: &str| {
        let (first, second) = text.split_once('_')?;
        Some(Cursor(first.parse().ok()?, second.parse().ok()?))
    };
    let wrong = || Problem::asked("cursor: expected what `next` of a page before said");
    text.map(|text| read(text).ok_or_else(wrong)).transpose()
}

/// `cursor` as text.
pub(super) fn shown(cursor: Cursor) -> String {
    format!("{}_{}", cursor.0, cursor.1)
}

/// A point in time of the parameter `name`.
pub(super) fn time(name: &str, text: Option<&str>, now: Timestamp) -> Result<Option<Timestamp>, Problem> {
    let read = |text| time_arg::parse(text).map(|time| time.resolve(now));
    text.map(|text| read(text).map_err(|problem| Problem::asked(format!("{name}: {problem}")))).transpose()
}
