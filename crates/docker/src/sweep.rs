//! What dead processes left at an engine.

use std::collections::HashMap;

use bollard::query_parameters::{
    ListConfigsOptionsBuilder, ListContainersOptionsBuilder, ListServicesOptionsBuilder, ListVolumesOptionsBuilder,
    RemoveVolumeOptions,
};
use sandbox::DriverError;

use crate::engine::{Engine, failed};
use crate::living::{remove_container, remove_service};
use crate::owner::{Life, OWNER, Owner};

fn ours() -> HashMap<String, Vec<String>> {
    [("label".to_owned(), vec![OWNER.to_owned()])].into()
}

/// Whether an object may be removed, and whose it is.
fn dead(labels: Option<HashMap<String, String>>, us: &Owner) -> Option<String> {
    let labels = labels?;
    (us.life(&labels) == Life::Dead).then(|| labels.get(OWNER).cloned().unwrap_or_default())
}

/// Removes containers whose owner is dead, and what an engine that was killed may have left of theirs.
pub(crate) async fn containers(engine: &Engine, us: &Owner) -> Result<Vec<String>, DriverError> {
    let options = ListContainersOptionsBuilder::default().all(true).filters(&ours()).build();
    let found = engine.client.list_containers(Some(options)).await.map_err(failed("list containers"))?;
    let mut swept = Vec::new();
    for container in found {
        // A task's container goes with its service.
        let of_swarm = container.labels.as_ref().is_some_and(|labels| labels.contains_key("com.docker.swarm.task.id"));
        if let (Some(owner), Some(id), false) = (dead(container.labels, us), container.id, of_swarm) {
            remove_container(engine, &id).await?;
            swept.push(format!("container {id} of {owner}"));
        }
    }
    let options = ListVolumesOptionsBuilder::default().filters(&ours()).build();
    let found = engine.client.list_volumes(Some(options)).await.map_err(failed("list volumes"))?;
    for volume in found.volumes.unwrap_or_default() {
        let Some(owner) = dead(Some(volume.labels), us) else { continue };
        // One that a container still uses goes with it.
        match engine.client.remove_volume(&volume.name, None::<RemoveVolumeOptions>).await {
            Ok(()) => swept.push(format!("volume {} of {owner}", volume.name)),
            Err(error) => tracing::debug!(%error, volume.name, "a volume stays"),
        }
    }
    Ok(swept)
}

/// Removes services and configs whose owner is dead.
pub(crate) async fn services(manager: &Engine, us: &Owner) -> Result<Vec<String>, DriverError> {
    let options = ListServicesOptionsBuilder::default().filters(&ours()).build();
    let found = manager.client.list_services(Some(options)).await.map_err(failed("list services"))?;
    let mut swept = Vec::new();
    for service in found {
        let labels = service.spec.and_then(|spec| spec.labels);
        if let (Some(owner), Some(id)) = (dead(labels, us), service.id) {
            remove_service(manager, &id).await?;
            swept.push(format!("service {id} of {owner}"));
        }
    }
    let options = ListConfigsOptionsBuilder::default().filters(&ours()).build();
    let found = manager.client.list_configs(Some(options)).await.map_err(failed("list configs"))?;
    for config in found {
        let labels = config.spec.and_then(|spec| spec.labels);
        if let (Some(owner), Some(id)) = (dead(labels, us), config.id) {
            // One that a service still uses goes with the next sweep.
            match manager.client.delete_config(&id).await {
                Ok(()) => swept.push(format!("config {id} of {owner}")),
                Err(error) => tracing::debug!(%error, id, "a config stays"),
            }
        }
    }
    Ok(swept)
}
