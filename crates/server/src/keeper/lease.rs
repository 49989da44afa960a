//! What an agent is told of a run.

use store::StoreError;
use wire::agent::{Lease, ToAgent};

use super::Keeper;
use crate::config::ProjectConfig;

impl Keeper {
    /// How its project is run, as far as this server knows it.
    pub(super) async fn config(&self) -> Result<Option<ProjectConfig>, StoreError> {
        let project = self.app.store.project(&self.run.project_name).await?;
        Ok(project.and_then(|project| serde_json::from_value(project.config).ok()))
    }

    /// What an agent is told of a lease.
    pub(super) async fn lease_of(&self, lease: (Lease, u64), reported: u64) -> Result<Option<ToAgent>, StoreError> {
        let config = self.config().await?;
        config.map(|config| self.message_of_lease(&config, lease, reported)).transpose()
    }

    pub(super) fn message_of_lease(
        &self,
        config: &ProjectConfig,
        (lease, agent): (Lease, u64),
        reported: u64,
    ) -> Result<ToAgent, StoreError> {
        Ok(ToAgent::Lease {
            lease,
            token: self.app.store.lease_token(lease, agent)?,
            source: config.source_of(&self.run),
            file: config.file.clone(),
            project: self.run.project_name.clone(),
            trust: self.run.trust,
            resources: config.resources(),
            libraries: config.shared_libraries(),
            reported,
        })
    }

    pub(super) fn tell_agent(&self, message: ToAgent) {
        match (self.agent, self.connection, &message) {
            // Whoever has it has it no more.
            (Some(agent), _, ToAgent::Release { .. }) => self.app.hub.tell(agent, message),
            (Some(agent), Some(connection), _) => self.app.hub.tell_over(agent, connection, message),
            _ => {}
        }
    }
}
