//! Cloud Hypervisor's published description, as a client has it that was generated from it: what we ask for is made of its calls
//! and its types, and nothing else; and a stand-in grants that client what it grants us.

use cloud_hypervisor_client::apis::DefaultApi;
use cloud_hypervisor_client::{models, socket_based_api_client};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use vmm::cloud_hypervisor::CloudHypervisor;
use vmm::machine::Tap;
use vmm::{Monitor as _, Request};

use crate::facts::{CLOUD_HYPERVISOR, Facts};
use crate::stand_in::StandIn;
use crate::{copy, machine, named};

/// The content as the generated type has it: a field that the type does not know would be lost on the way, and be seen.
fn as_published<T: DeserializeOwned + Serialize>(request: &Request) -> T {
    let body = request.body.as_ref().expect("content");
    let read: T = serde_json::from_value(body.clone()).unwrap_or_else(|error| panic!("{request:?}: {error}"));
    assert_eq!(&serde_json::to_value(&read).expect("JSON"), body, "{request:?}");
    read
}

/// Has the generated client make a request of ours.
async fn ask(client: &dyn DefaultApi, request: &Request) {
    let call = request.path.strip_prefix("/api/v1/").expect("a path");
    let content = request.body.as_ref();
    let answer = match call {
        "vm.create" => client.create_vm(as_published::<models::VmConfig>(request)).await,
        "vm.snapshot" => client.vm_snapshot_put(as_published(request)).await,
        "vm.restore" => client.vm_restore_put(as_published(request)).await,
        "vm.boot" if content.is_none() => client.boot_vm().await,
        "vm.pause" if content.is_none() => client.pause_vm().await,
        "vm.resume" if content.is_none() => client.resume_vm().await,
        "vmm.shutdown" if content.is_none() => client.shutdown_vmm().await,
        other => panic!("{other} is not published with such content: {content:?}"),
    };
    answer.unwrap_or_else(|error| panic!("{request:?}: {error:?}"));
}

/// Has the generated client live a life of ours with a stand-in, which hears the same calls as from us.
async fn live(life: &[Request]) {
    let facts = Facts::read(CLOUD_HYPERVISOR);
    let stand_in = StandIn::start(&facts);
    let client = socket_based_api_client(&stand_in.socket);
    for request in life {
        ask(&client, request).await;
    }
    drop(client);
    let log = tokio::task::spawn_blocking(|| stand_in.finish()).await.expect("a log");
    let ours = life.iter().map(|request| request.path.replacen("/api/v1/", "PUT /", 1));
    assert_eq!(log.faults, Vec::<String>::new());
    assert_eq!(log.granted, ours.collect::<Vec<_>>());
}

#[tokio::test]
async fn cloud_hypervisor_is_asked_in_the_words_of_a_generated_client() {
    let monitor = CloudHypervisor;
    for network in [Some(named("tap0")), None] {
        let boot = monitor.boot(&machine(network.clone())).unwrap();
        let saved = monitor.save("/proc/self/fd/8".as_ref()).unwrap();
        live(&[boot, monitor.pause(), saved, monitor.resume(), monitor.end()].concat()).await;
        live(&[monitor.load(&copy(network)).unwrap(), monitor.resume(), monitor.end()].concat()).await;
    }
}

/// A client that was generated has no descriptors to send: of these two calls, only what they say is compared.
#[test]
fn calls_with_descriptors_say_what_is_published() {
    let boot = CloudHypervisor.boot(&machine(Some(Tap::Descriptor))).unwrap();
    let [create, add, _] = boot.as_slice() else { panic!("{boot:?}") };
    as_published::<models::VmConfig>(create);
    as_published::<models::NetConfig>(add);
    let mut load = CloudHypervisor.load(&copy(Some(Tap::Descriptor))).unwrap();
    let body = load[0].body.as_mut().and_then(Value::as_object_mut).expect("content");
    assert!(body.remove("net_fds").is_some(), "in its source only");
    as_published::<models::RestoreConfig>(&load[0]);
}

#[test]
#[should_panic(expected = "made_up")]
fn a_field_that_is_not_published_is_seen() {
    let mut boot = CloudHypervisor.boot(&machine(None)).unwrap();
    boot[0].body.as_mut().expect("content")["made_up"] = true.into();
    as_published::<models::VmConfig>(&boot[0]);
}
