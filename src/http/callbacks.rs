//! Handlers of `/callbacks`: lists, shows and replays callbacks that wait or were given up.

mod view;

use asset_gateway_backends::callback_queue::EventState;
use asset_gateway_backends::event::EventId;
use axum::Json;
use axum::extract::{Path, RawQuery, State};

use super::error_responses::CallbackErrors;
use super::query;
use crate::error::GatewayError;
use crate::http::state::AppState;
use crate::tokens::issue::times;
use view::{CallbackPage, CallbackView, DetailView, Replayed};

/// Lists callbacks that wait, or those that were given up, oldest first.
#[utoipa::path(get, path = "/callbacks", tag = "control plane",
    params(("state" = Option<String>, Query, description = "pending or dead; default dead"),
        ("limit" = Option<u32>, Query, description = "1 to 1000, default 100"),
        ("cursor" = Option<String>, Query, description = "of the page before")),
    responses((status = 200, description = "a page", body = CallbackPage), CallbackErrors),
    security(("control_token" = [])))]
pub async fn list(
    State(state): State<AppState>,
    RawQuery(query): RawQuery,
) -> Result<Json<CallbackPage>, GatewayError> {
    let (mut of, mut limit, mut cursor) = (EventState::Dead, query::DEFAULT_PAGE_ROWS, None);
    for (name, value) in query::parameters(query.as_deref(), &["state", "limit", "cursor"])? {
        match (name.as_str(), value.as_str()) {
            ("state", "pending") => of = EventState::Pending,
            ("state", "dead") => of = EventState::Dead,
            ("state", _) => return Err(query::invalid("state", "pending or dead")),
            ("cursor", _) => cursor = Some(value),
            _ => limit = query::limit(&value)?,
        }
    }
    let queue = state.callbacks();
    let page = queue.list_events(of, limit, cursor.as_deref()).await;
    let page = page
        .map_err(GatewayError::store)?
        .ok_or_else(|| GatewayError::BadRequest("cursor: is not one of this listing".into()))?;
    Ok(Json(CallbackPage {
        callbacks: page.events.iter().map(CallbackView::new).collect(),
        cursor: page.cursor,
    }))
}

/// Shows a callback with every try.
#[utoipa::path(get, path = "/callbacks/{id}", tag = "control plane",
    params(("id" = String, Path, description = "of a listing, or `webhook-id`")),
    responses((status = 200, description = "the callback", body = DetailView), CallbackErrors),
    security(("control_token" = [])))]
pub async fn show(
    State(state): State<AppState>,
    Path(id): Path<String>,
) -> Result<Json<DetailView>, GatewayError> {
    load_details(&state, &EventId::from_string(id))
        .await
        .map(Json)
}

/// Sends a callback again: one that was given up starts its schedule over, one that waits is due now.
/// For one that is being tried at this moment nothing changes.
#[utoipa::path(post, path = "/callbacks/{id}/replay", tag = "control plane",
    params(("id" = String, Path, description = "of a listing, or `webhook-id`")),
    responses((status = 200, description = "the callback as it is then", body = DetailView),
        CallbackErrors),
    security(("control_token" = [])))]
pub async fn replay(
    State(state): State<AppState>,
    Path(id): Path<String>,
) -> Result<Json<DetailView>, GatewayError> {
    let id = EventId::from_string(id);
    // Read before the replay: a due callback may be delivered, and removed, at any moment.
    let before = load_details(&state, &id).await?;
    let replayed = state.callbacks().replay(&id).await;
    match replayed.map_err(GatewayError::store)? {
        true => Ok(Json(before.replayed())),
        false => Err(GatewayError::CallbackNotFound),
    }
}

/// Sends all callbacks again that were given up and were queued at a time or later.
#[utoipa::path(post, path = "/callbacks/replay", tag = "control plane",
    params(("since" = u64, Query, description = "Unix seconds at which \
        an event was queued, its `created_at`: a download's end; 0 = all")),
    responses((status = 200, description = "how many", body = Replayed), CallbackErrors),
    security(("control_token" = [])))]
pub async fn replay_since(
    State(state): State<AppState>,
    RawQuery(query): RawQuery,
) -> Result<Json<Replayed>, GatewayError> {
    let expected = || query::invalid("since", "a time in Unix seconds");
    let mut since = None;
    for (_, value) in query::parameters(query.as_deref(), &["since"])? {
        since = Some(value.parse::<u64>().map_err(|_| expected())?);
    }
    let since = since.ok_or_else(expected)?;
    let now = state.redeemer.clock.now_seconds();
    times::within_ten_years("since", since, now)
        .map_err(|error| GatewayError::BadRequest(error.0))?;
    let since_ms = since.saturating_mul(1_000);
    let replayed = state.callbacks().replay_since(since_ms).await;
    let done = replayed.map_err(GatewayError::store)?;
    Ok(Json(Replayed {
        replayed: done.replayed,
        more: done.more,
    }))
}

async fn load_details(state: &AppState, id: &EventId) -> Result<DetailView, GatewayError> {
    let kept = state.callbacks().get_event(id).await;
    let kept = kept.map_err(GatewayError::store)?;
    kept.map(DetailView::new)
        .ok_or(GatewayError::CallbackNotFound)
}
