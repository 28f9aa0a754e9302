//! The policy in force, as it was written.

use std::fmt::Write;
use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use http::HeaderMap;
use serde_json::Value;
use serde_json::json;

use super::OperatorRole;
use super::answer::Refused;
use super::answer::json;
use super::routes::Admin;

/// Gives the texts of the files and their hashes: what `privet policy diff --running` compares
/// with. Policies name no person, and who may look at subject cards may see by which rules.
pub(super) async fn show(
    State(admin): State<Arc<Admin>>,
    headers: HeaderMap,
) -> Result<Response, Refused> {
    admin.operator(&headers, OperatorRole::Officer)?;
    let policy = admin.gateway.policy();
    let files = policy
        .files()
        .iter()
        .map(|file| json!({ "name": file.name, "sha256": file.sha256(), "text": file.text }));
    let files: Vec<Value> = files.collect();
    let mut hash = String::new();
    for byte in policy.hash() {
        _ = write!(hash, "{byte:02x}");
    }
    Ok(json(&json!({ "policy": hash, "files": files })))
}
