//! Projects, agent tasks, workers, kinds and workspaces.

use std::sync::Arc;

use axum::extract::{FromRequestParts, State};
use axum::http::request::Parts;
use axum::http::{StatusCode, Uri};
use axum::response::IntoResponse;
use sprongus_core::values::ids::RunId;
use sprongus_core::values::names::{AgentTaskId, Kind, WorkerId, WorkspaceId};
use sprongus_core::workspace::directory::NewAgentTask;
use sprongus_core::{Error, ErrorCode, Result};

use super::runs::read::page_body;
use crate::server::Shared;
use crate::server::access::auth::{Maker, Operator, Principal, Reader, Worker};
use crate::server::request::body::Strict;
use crate::server::request::{path, query};
use crate::server::response::{ApiError, ApiResult, bad_field, json, made, shown};
use crate::wire::List;
use crate::wire::directory::{
    AgentTaskBody, KindBody, KindNameBody, NewAgentTaskBody, NewProjectBody, NewWorkspaceBody, ProjectBody,
    WorkerAnswerBody, WorkerBody, WorkerWordBody, WorkspaceBody,
};

/// The longest name of a machine or a folder, and of a version, in bytes.
const MAX_HOST_BYTES: usize = 255;
const MAX_VERSION_BYTES: usize = 64;

page_body! {
    /// The projects.
    ProjectPage, ProjectPage, ProjectBody;
    /// The agent tasks.
    AgentTaskPage, AgentTaskPage, AgentTaskBody;
    /// The workers.
    WorkerPage, WorkerPage, WorkerBody;
    /// The kinds.
    KindPage, KindPage, KindBody;
    /// The workspaces.
    WorkspacePage, WorkspacePage, WorkspaceBody;
}

fn whole<T: serde::Serialize>(data: Vec<T>) -> axum::response::Response {
    json(&List { data, next_cursor: None })
}

/// List the projects
#[utoipa::path(
    get, path = "/v1/projects", tag = "directory", operation_id = "listProjects",
    responses((status = 200, description = "Projects this token has access to", body = ProjectPage)),
    security(("token" = ["runs:read"]))
)]
pub async fn projects(Reader(principal): Reader, uri: Uri) -> ApiResult {
    query::none(&uri)?;
    Ok(whole(principal.runs().projects().await?))
}

/// Create a project
///
/// Succeeds if it already exists.
#[utoipa::path(
    post, path = "/v1/projects", tag = "directory", operation_id = "createProject", request_body = NewProjectBody,
    responses((status = 201, description = "The project", body = ProjectBody)),
    security(("token" = ["runs:write"]))
)]
pub async fn create_project(Maker(principal): Maker, Strict(body): Strict<NewProjectBody>) -> ApiResult {
    if principal.caller.projects.is_some() {
        return Err(Error::new(
            ErrorCode::Forbidden,
            "a token restricted to projects cannot create projects",
        )
        .into());
    }
    let project = principal.runs().create_project(&body.id).await?;
    Ok(made(&project, "/v1/projects"))
}

/// List the newest 100 agent tasks
///
/// A token restricted to projects sees only those of its projects.
#[utoipa::path(
    get, path = "/v1/agent-tasks", tag = "directory", operation_id = "listAgentTasks",
    responses((status = 200, description = "The newest 100", body = AgentTaskPage)),
    security(("token" = ["runs:read"]))
)]
pub async fn agent_tasks(Reader(principal): Reader, uri: Uri) -> ApiResult {
    query::none(&uri)?;
    Ok(whole(principal.runs().agent_tasks().await?))
}

/// Create an agent task
///
/// Succeeds if it already exists. A token restricted to one project creates it there; one restricted to several must specify the
/// project.
#[utoipa::path(
    post, path = "/v1/agent-tasks", tag = "directory", operation_id = "createAgentTask", request_body = NewAgentTaskBody,
    responses((status = 201, description = "The agent task", body = AgentTaskBody)),
    security(("token" = ["runs:write"]))
)]
pub async fn create_agent_task(Maker(principal): Maker, Strict(body): Strict<NewAgentTaskBody>) -> ApiResult {
    let id = match body.id {
        Some(id) => id,
        None => RunId::new().to_string().parse::<AgentTaskId>()?,
    };
    let new = NewAgentTask { id, title: body.title, project_id: body.project_id };
    let task = principal.runs().create_agent_task(new).await?;
    Ok(made(&task, "/v1/agent-tasks"))
}

/// The worker a path names.
pub struct WorkerOf(WorkerId);

impl FromRequestParts<Arc<Shared>> for WorkerOf {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, shared: &Arc<Shared>) -> Result<Self, ApiError> {
        let text = path::named(parts, shared, "id").await;
        let unknown = |_| ApiError(Error::not_found(format_args!("worker: {}", shown(&text))));
        text.parse().map(Self).map_err(unknown)
    }
}

/// List live workers
#[utoipa::path(
    get, path = "/v1/workers", tag = "directory", operation_id = "listWorkers",
    responses((status = 200, description = "Workers seen in the last 15 seconds", body = WorkerPage)),
    security(("token" = ["runs:read"]))
)]
pub async fn workers(Reader(principal): Reader, uri: Uri) -> ApiResult {
    query::none(&uri)?;
    Ok(whole(principal.runs().workers().await?))
}

/// Announce a worker
///
/// Repeat this every five seconds.
#[utoipa::path(
    put, path = "/v1/workers/{id}", tag = "work", operation_id = "seeWorker", request_body = WorkerWordBody,
    params(("id" = String, Path, description = "The worker")),
    responses((status = 200, description = "Whether it should stop claiming", body = WorkerAnswerBody)),
    security(("token" = ["runs:work"]))
)]
pub async fn see_worker(
    Worker(principal): Worker,
    WorkerOf(id): WorkerOf,
    Strict(body): Strict<WorkerWordBody>,
) -> ApiResult {
    let zone_data = body.zone_data.iter().flat_map(|data| {
        [
            ("/zoneData/source", &data.source, MAX_HOST_BYTES),
            ("/zoneData/version", &data.version, MAX_VERSION_BYTES),
        ]
    });
    let texts = [("/host", &body.host, MAX_HOST_BYTES), ("/version", &body.version, MAX_VERSION_BYTES)];
    for (pointer, text, most) in texts.into_iter().chain(zone_data) {
        if text.len() > most || text.chars().any(char::is_control) {
            return Err(bad_field(pointer, format!("at most {most} bytes of printable text")).into());
        }
    }
    let drain = principal.runs().see_worker(&body.into_info(id)).await?;
    Ok(json(&WorkerAnswerBody { drain }))
}

/// Remove a worker that has stopped
#[utoipa::path(
    delete, path = "/v1/workers/{id}", tag = "work", operation_id = "forgetWorker",
    params(("id" = String, Path, description = "The worker")),
    responses((status = 204, description = "Removed")),
    security(("token" = ["runs:work"]))
)]
pub async fn forget_worker(Worker(principal): Worker, WorkerOf(id): WorkerOf) -> ApiResult {
    principal.runs().forget_worker(&id).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// Drain a worker: it stops claiming and finishes its runs
#[utoipa::path(
    post, path = "/v1/workers/{id}:drain", tag = "administration", operation_id = "drainWorker",
    params(("id" = String, Path, description = "The worker")),
    responses((status = 204, description = "Draining; the worker learns of it with its next request")),
    security(("token" = ["admin"]))
)]
pub async fn drain_worker(Operator(principal): Operator, WorkerOf(id): WorkerOf) -> ApiResult {
    principal.runs().drain_worker(&id).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// List kinds that have been paused or resumed
#[utoipa::path(
    get, path = "/v1/kinds", tag = "directory", operation_id = "listKinds",
    responses((status = 200, description = "Those", body = KindPage)),
    security(("token" = ["runs:read"]))
)]
pub async fn kinds(Reader(principal): Reader, uri: Uri) -> ApiResult {
    query::none(&uri)?;
    Ok(whole(principal.runs().kinds().await?))
}

/// Pause a kind: its runs are not claimed
#[utoipa::path(
    post, path = "/v1/kinds:pause", tag = "administration", operation_id = "pauseKind", request_body = KindNameBody,
    responses((status = 200, description = "The kind", body = KindBody)),
    security(("token" = ["admin"]))
)]
pub async fn pause_kind(Operator(principal): Operator, Strict(body): Strict<KindNameBody>) -> ApiResult {
    set_paused(&principal, &body.kind, true).await
}

/// Resume a kind
#[utoipa::path(
    post, path = "/v1/kinds:resume", tag = "administration", operation_id = "resumeKind", request_body = KindNameBody,
    responses((status = 200, description = "The kind", body = KindBody)),
    security(("token" = ["admin"]))
)]
pub async fn resume_kind(Operator(principal): Operator, Strict(body): Strict<KindNameBody>) -> ApiResult {
    set_paused(&principal, &body.kind, false).await
}

async fn set_paused(principal: &Principal, kind: &Kind, paused: bool) -> ApiResult {
    Ok(json(&principal.runs().pause_kind(kind, paused).await?))
}

/// The workspace a path names.
pub struct WorkspaceOf(WorkspaceId);

impl FromRequestParts<Arc<Shared>> for WorkspaceOf {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, shared: &Arc<Shared>) -> Result<Self, ApiError> {
        let text = path::named(parts, shared, "id").await;
        text.parse().map(Self).map_err(|_| ApiError(unknown_workspace(&text)))
    }
}

fn unknown_workspace(text: &str) -> Error {
    Error::not_found(format_args!("workspace: {}", shown(text)))
        .with_hint("list them with `sprongus workspaces list`")
}

fn not_an_operator() -> Error {
    Error::new(ErrorCode::Forbidden, "managing workspaces requires an admin token of the workspace default")
        .with_hint("ask the operator of this server")
}

/// List the workspaces
///
/// An admin of the workspace `default` operates the server and sees all workspaces; any other admin sees only their own.
#[utoipa::path(
    get, path = "/v1/workspaces", tag = "administration", operation_id = "listWorkspaces",
    responses((status = 200, description = "The workspaces", body = WorkspacePage)),
    security(("token" = ["admin"]))
)]
pub async fn workspaces(Operator(principal): Operator, uri: Uri) -> ApiResult {
    query::none(&uri)?;
    let mut all = principal.admin().workspaces().await?;
    if !principal.is_operator() {
        all.retain(|workspace| workspace.id == principal.token.workspace_id);
    }
    Ok(whole(all))
}

/// Create a workspace
///
/// Succeeds if it already exists. Requires an admin token of the workspace `default`.
#[utoipa::path(
    post, path = "/v1/workspaces", tag = "administration", operation_id = "createWorkspace", request_body = NewWorkspaceBody,
    responses((status = 201, description = "The workspace", body = WorkspaceBody)),
    security(("token" = ["admin"]))
)]
pub async fn create_workspace(
    Operator(principal): Operator,
    Strict(body): Strict<NewWorkspaceBody>,
) -> ApiResult {
    if !principal.is_operator() {
        return Err(not_an_operator().into());
    }
    let workspace = principal.admin().create_workspace(&body.id).await?;
    Ok(made(&workspace, "/v1/workspaces"))
}

/// Delete a workspace and everything in it
///
/// Requires an admin token of the workspace `default`; for any other token, other workspaces do not exist.
#[utoipa::path(
    delete, path = "/v1/workspaces/{id}", tag = "administration", operation_id = "deleteWorkspace",
    params(("id" = String, Path, description = "The workspace")),
    responses((status = 204, description = "Deleted")),
    security(("token" = ["admin"]))
)]
pub async fn delete_workspace(
    Operator(principal): Operator,
    WorkspaceOf(id): WorkspaceOf,
    State(shared): State<Arc<Shared>>,
) -> ApiResult {
    if !principal.is_operator() {
        let is_own = id == principal.token.workspace_id;
        return Err(if is_own { not_an_operator() } else { unknown_workspace(id.as_str()) }.into());
    }
    principal.admin().delete_workspace(&id).await?;
    shared.tokens.forget_all();
    Ok(StatusCode::NO_CONTENT.into_response())
}
