//! What a machine is made for: a sandbox's specification in a machine's words, whatever monitor makes it.
//!
//! ```text
//!   devices:  scratch   [ an engine's programs ]   [ interface ]   layers of the root   [ layers of images for the engine ]
//! ```

use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;

use launcher::guest::{Network, Offer};
use launcher::protocol::{LayerSource, Plan};
use model::limits::Limits;

use super::asked::{Asked, Parts};
use super::machine::{self, Shape};
use super::qemu::Qemu;
use super::{GUEST_MEMORY, MicroVm, engine, kernel, offers, open};
use crate::guest::Guest;
use crate::local::{SMALLEST_DISK, plan as plan_of, topmost};
use crate::net::machine::{MachineLink, Tap, hand_on};
use crate::{CreateError, RootSpec, SandboxSpec};

/// Disks that have room beside the machine's other devices.
const MAX_DISKS: usize = 20;

/// The most layers that a machine has as disks, beside those that are its own: of a sandbox's image, or of images for its Docker Engine.
pub const fn most_layers(engine: bool) -> usize {
    MAX_DISKS - 1 - engine as usize
}

/// What a machine is made for.
pub(super) struct Order {
    pub(super) plan: Plan,
    pub(super) shape: Shape,
    pub(super) limits: Limits,
    /// Beside its own.
    pub(super) disks: Vec<PathBuf>,
    /// What its engine is to find among them.
    pub(super) offer: Option<Offer>,
    pub(super) netns: Option<OwnedFd>,
    pub(super) link: Option<MachineLink>,
}

impl Order {
    /// For a sandbox of this driver.
    pub(super) async fn of(driver: &MicroVm, mut spec: SandboxSpec) -> Result<Order, CreateError> {
        check(driver, &spec)?;
        let engine = spec.engine.take();
        let first_disk = 1 + usize::from(engine.is_some());
        let mut disks = match &spec.root {
            RootSpec::HostTools if engine.is_some() => Vec::new(),
            root => disks(root, most_layers(engine.is_some()))?,
        };
        let limits = spec.limits;
        let (mut plan, netns) = plan_of(spec).await?;
        // Not in memory, so not less than that.
        plan.limits.disk_bytes = limits.disk_bytes.max(SMALLEST_DISK);
        plan.layers = Some(match disks.is_empty() && engine.is_some() {
            // The engine's own tools.
            true => vec![LayerSource::Erofs(machine::disk(1))],
            false => (first_disk..).zip(&disks).map(|(index, _)| LayerSource::Erofs(machine::disk(index))).collect(),
        });
        // What the engine publishes, the sandbox reaches.
        plan.netns |= engine.is_some();
        let found = driver.found().await;
        if let Some(reason) = driver.asked.as_ref().and_then(|asked| found.blocker(asked)) {
            return Err(CreateError::Unsupported { reason });
        }
        let beside = GUEST_MEMORY + if engine.is_some() { engine::MEMORY } else { 0 };
        if engine.is_some() {
            plan.limits.disk_bytes = plan.limits.disk_bytes.max(engine::SMALLEST_DISK);
        }
        let mut shape = Shape::new(found.acceleration, &plan.limits, beside, engine.is_some());
        let mut offer = None;
        if let Some(engine) = engine.filter(|engine| !engine.images.is_empty()) {
            let next = first_disk + disks.len();
            let (told, layers) = offers::offer(&engine.images, next, MAX_DISKS - next)?;
            disks.extend(layers);
            offer = Some(told);
        }
        if driver.asked.is_some() {
            // So that machines of few kinds are saved.
            shape.places = disks.len().next_power_of_two().min(most_layers(false));
            shape.interface = netns.is_some();
        }
        let by_name = driver.asked.as_ref().is_some_and(Asked::opens_by_name);
        let link = netns.as_ref().map(|netns| hand_on(netns.as_fd(), by_name)).transpose();
        let link = link.map_err(kernel("give the machine its network"))?;
        Ok(Order { plan, shape, limits, disks, offer, netns, link })
    }

    /// Its interface and its disks, in the order in which the guest looks for them.
    pub(super) fn equip(&self, qemu: &mut Qemu) -> Result<(), CreateError> {
        if let Some(Tap::Held(tap)) = self.link.as_ref().map(|link| &link.tap) {
            let mac = machine::fresh_mac().map_err(kernel("read random numbers"))?;
            qemu.network(tap.try_clone().map_err(kernel("copy a descriptor"))?, mac);
        }
        for path in &self.disks {
            qemu.disk(open(path)?.into());
        }
        Ok(())
    }

    pub(super) fn netns(&self) -> Result<Option<OwnedFd>, CreateError> {
        self.netns.as_ref().map(OwnedFd::try_clone).transpose().map_err(kernel("copy a descriptor"))
    }

    /// The machine's interface, as its guest is told of it. `mac`: where the device does not have its own.
    pub(super) fn network(&self, mac: Option<[u8; 6]>) -> Option<Network> {
        self.link.as_ref().map(|link| Network { address: link.address, neighbour: link.neighbour, mac })
    }

    /// For a monitor that is asked.
    pub(super) fn parts<'a>(&'a self, guest: &'a Guest, scratch: File) -> Result<Parts<'a>, CreateError> {
        let tap = self.link.as_ref().map(|link| &link.tap);
        let (shape, disks, limits) = (self.shape, &self.disks, &self.limits);
        Ok(Parts { shape, guest, scratch, disks, tap, netns: self.netns()?, limits, saved: None })
    }
}

/// What this driver cannot do, whatever the sandbox is like otherwise.
fn check(driver: &MicroVm, spec: &SandboxSpec) -> Result<(), CreateError> {
    if let Some(id) = spec.workspace.share_with {
        if driver.find(id).map_or(true, |living| living.ended.borrow().is_some()) {
            return Err(CreateError::SharedGone { id });
        }
        let reason = "the microvm driver shares no workspace between machines yet".into();
        return Err(CreateError::Unsupported { reason });
    }
    match (&spec.engine, &driver.asked) {
        (None, _) => Ok(()),
        (Some(_), None) => engine::programs(&driver.config).map(drop),
        (Some(_), Some(asked)) => {
            let reason = format!("machines of {} have no Docker Engine; those of QEMU do", asked.monitor.name());
            Err(CreateError::Unsupported { reason })
        }
    }
}

/// The files of the layers, lowest first.
fn disks(root: &RootSpec, most: usize) -> Result<Vec<PathBuf>, CreateError> {
    let refuse = |what: String| Err(CreateError::Spec { what });
    let RootSpec::Image(layers) = root else {
        return refuse("the microvm driver needs an image".into());
    };
    let layers = topmost(layers.clone());
    if layers.len() > most {
        return refuse(format!("an image of {} layers; a machine has room for {most}", layers.len()));
    }
    let file = |layer: &LayerSource| match layer {
        LayerSource::Erofs(path) => Ok(path.clone()),
        LayerSource::Dir(path) => {
            std::fs::metadata(path).map_err(|source| CreateError::Layer { path: path.clone(), source })?;
            Err(CreateError::Spec { what: format!("{} is a folder; a machine needs layers in files", path.display()) })
        }
    };
    layers.iter().map(file).collect()
}
