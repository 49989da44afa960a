//! What dead processes left at an engine.

use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, Instant};

use bollard::models::ContainerSummaryStateEnum;
use bollard::query_parameters::{
    ListConfigsOptionsBuilder, ListContainersOptionsBuilder, ListServicesOptionsBuilder, ListVolumesOptionsBuilder,
    RemoveVolumeOptions,
};
use sandbox::DriverError;

use crate::engine::{Engine, failed, is_missing};
use crate::living::{remove_container, remove_service};
use crate::owner::{Life, OWNER, Owner};

/// How long containers may take to be there that were being made when their owner died: until then an engine lists them, and says
/// that it has none such when they are to be removed.
const UNFINISHED: Duration = Duration::from_secs(10);
/// How often it is asked for them.
const PAUSE: Duration = Duration::from_millis(50);

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
    let mut swept = BTreeMap::new();
    let begun = Instant::now();
    loop {
        let found = dead_containers(engine, us).await?;
        let is_last = found.is_empty() || begun.elapsed() > UNFINISHED;
        for (id, owner) in found {
            remove_container(engine, &id).await?;
            swept.insert(id, owner);
        }
        if is_last {
            break;
        }
        tokio::time::sleep(PAUSE).await;
    }
    let mut swept: Vec<_> = swept.into_iter().map(|(id, owner)| format!("container {id} of {owner}")).collect();
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

/// Each with its owner.
async fn dead_containers(engine: &Engine, us: &Owner) -> Result<Vec<(String, String)>, DriverError> {
    let options = ListContainersOptionsBuilder::default().all(true).filters(&ours()).build();
    let found = engine.client.list_containers(Some(options)).await.map_err(failed("list containers"))?;
    let mut of_dead = Vec::new();
    for container in found {
        // A task's container goes with its service.
        let of_swarm = container.labels.as_ref().is_some_and(|labels| labels.contains_key("com.docker.swarm.task.id"));
        let owner = dead(container.labels, us).filter(|_| !of_swarm);
        let (Some(id), Some(owner)) = (container.id, owner) else { continue };
        if container.state == Some(ContainerSummaryStateEnum::DEAD) && is_ghost(engine, &id).await {
            tracing::debug!(id, "the engine lists a container that it has removed");
            continue;
        }
        of_dead.push((id, owner));
    }
    Ok(of_dead)
}

/// Whether a container that is listed as dead is in the list alone. An engine that writes down how a container ended just after it
/// has removed it lists that one until the engine is started again, and nothing removes it: seen of Docker 20.10.
async fn is_ghost(engine: &Engine, id: &str) -> bool {
    engine.client.inspect_container(id, None).await.is_err_and(|error| is_missing(&error))
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::answers::{Answers, info};

    #[tokio::test]
    async fn a_container_that_is_in_the_list_alone_is_nobodys_remains() {
        let engine = Answers::start(|call, nth| match call {
            listed if listed.starts_with("GET /containers/json") => {
                let container = |id| {
                    let labels = r#"{"cofferdam.owner":"gone","cofferdam.until":"1"}"#;
                    format!(r#"{{"Id":"{id}","State":"dead","Labels":{labels}}}"#)
                };
                let stuck = if nth == 1 { container("stuck") + "," } else { String::new() };
                (200, format!("[{stuck}{}]", container("ghost")))
            }
            seen if seen.starts_with("GET /containers/stuck/json") => (200, "{}".into()),
            removed if removed.starts_with("DELETE /containers/stuck") => (204, String::new()),
            volumes if volumes.starts_with("GET /volumes") => (200, "{}".into()),
            other => info(other, "default"),
        });
        let begun = Instant::now();
        let connected = Engine::connect(&engine.endpoint(), None).await.unwrap();
        let swept = containers(&connected, &Owner::new()).await.unwrap();
        assert_eq!(swept, ["container stuck of gone"]);
        assert!(begun.elapsed() < UNFINISHED, "it waits for nothing that will never be there");
    }
}
