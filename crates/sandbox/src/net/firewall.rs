//! The two tables of nftables, one in the gateway (what sandboxes may reach) and one in the host (addresses are translated on
//! the way out, nothing comes in, and the host itself is not reachable). A table belongs to the netlink socket that made it:
//! when the process ends, in whatever way, the kernel removes it.

use std::io;
use std::net::Ipv4Addr;

use super::links::Network;
use super::netlink::{Message, Nested, Socket, attributes, text};

const SUBSYSTEM: u16 = 10 << 8;
const NEW_TABLE: u16 = SUBSYSTEM;
const NEW_CHAIN: u16 = SUBSYSTEM | 3;
const GET_CHAIN: u16 = SUBSYSTEM | 4;
const NEW_RULE: u16 = SUBSYSTEM | 6;
const BATCH_BEGIN: u16 = 0x10;
const BATCH_END: u16 = 0x11;
const FAMILY_INET: u8 = 1;
const FAMILY_IPV4: u8 = 2;

const TABLE_NAME: u16 = 1;
const TABLE_FLAGS: u16 = 2;
/// The kernel removes the table with the socket.
const TABLE_FLAG_OWNER: u32 = 2;
const CHAIN_TABLE: u16 = 1;
const CHAIN_NAME: u16 = 3;
const CHAIN_HOOK: u16 = 4;
const CHAIN_POLICY: u16 = 5;
const CHAIN_TYPE: u16 = 7;
const HOOK_NUMBER: u16 = 1;
const HOOK_PRIORITY: u16 = 2;
const RULE_TABLE: u16 = 1;
const RULE_CHAIN: u16 = 2;
const RULE_EXPRESSIONS: u16 = 4;
const LIST_ELEMENT: u16 = 1;
const EXPRESSION_NAME: u16 = 1;
const EXPRESSION_DATA: u16 = 2;

const HOOK_PREROUTING: u32 = 0;
const HOOK_IN: u32 = 1;
const HOOK_FORWARD: u32 = 2;
const HOOK_POSTROUTING: u32 = 4;
/// Before the host's own filters, so that a refusal is told rather than dropped by them.
const BEFORE_FILTER: i32 = -10;
const SOURCE_NAT: i32 = 100;

const META_IIF: u32 = 4;
const META_OIF: u32 = 5;
const META_IIF_NAME: u32 = 6;
const META_OIF_NAME: u32 = 7;
const META_PROTOCOL: u32 = 16;
/// How the names of all our interfaces in the host begin.
const UPLINK_NAME: &[u8] = b"cofferdam";
const EQUAL: u32 = 0;
const NOT_EQUAL: u32 = 1;
const REGISTER: u32 = 1;
const VERDICT_REGISTER: u32 = 0;
const VERDICT_DROP: u32 = 0;
const VERDICT_ACCEPT: u32 = 1;
const NETWORK_HEADER: u32 = 1;
const SOURCE_ADDRESS_AT: u32 = 12;
const DESTINATION_ADDRESS_AT: u32 = 16;
const TRANSPORT_HEADER: u32 = 2;
const DESTINATION_PORT_AT: u32 = 2;
/// Connection tracking's bits for packets that begin a connection, and for those that make no sense in any.
const STATE_NEW: u32 = 8;
const STATE_INVALID: u32 = 1;
const REJECT_WITH_ICMP: u32 = 0;
const REJECT_WITH_RESET: u32 = 1;
const TCP: u8 = 6;
/// "Communication administratively prohibited".
const ICMP_PROHIBITED: u8 = 13;

/// What the host's table is about.
pub(super) struct Fence<'a> {
    pub(super) table: &'a str,
    /// Number of the host's interface to the gateway.
    pub(super) uplink: u32,
    /// Addresses of the sandboxes.
    pub(super) network: Network,
    /// The host did not forward packets before us: go on refusing those that are not ours.
    pub(super) was_no_router: bool,
}

/// Installs the host's table; it lives as long as `socket`.
pub(super) fn install(socket: &mut Socket, fence: &Fence<'_>) -> io::Result<()> {
    let Fence { table, uplink, network, .. } = *fence;
    let to_uplink = |how| vec![meta(META_OIF), compare(how, uplink.to_ne_bytes())];
    let from_uplink = vec![meta(META_IIF), compare(EQUAL, uplink.to_ne_bytes())];
    let mut messages = vec![
        chain(table, "in", "filter", HOOK_IN, BEFORE_FILTER),
        chain(table, "forward", "filter", HOOK_FORWARD, BEFORE_FILTER),
        chain(table, "out", "nat", HOOK_POSTROUTING, SOURCE_NAT),
        // Nobody begins a connection to a sandbox.
        rule(table, "forward", [to_uplink(EQUAL), is(STATE_NEW), vec![verdict(VERDICT_DROP)]].concat()),
        // What belongs to no connection is given no other address: it would go out under the sandbox's own.
        rule(table, "forward", [from_uplink.clone(), is(STATE_INVALID), vec![verdict(VERDICT_DROP)]].concat()),
        // Whoever answers sees the host's address.
        rule(table, "out", [from(network), to_uplink(NOT_EQUAL), vec![expression("masq", Nested::new())]].concat()),
    ];
    // Nothing that comes from a sandbox is for this host.
    messages.extend(refuse(table, "in", &from_uplink));
    if fence.was_no_router {
        // A prefix of the name, so that several processes do not shut each other's way.
        let not_ours = |key| vec![meta(key), compare(NOT_EQUAL, UPLINK_NAME)];
        let foreign = [not_ours(META_IIF_NAME), not_ours(META_OIF_NAME), vec![verdict(VERDICT_DROP)]].concat();
        messages.push(rule(table, "forward", foreign));
    }
    install_table(socket, table, TABLE_FLAG_OWNER, messages)
}

/// Bounds the connections that all sandboxes of this process have at once, so that they cannot fill the host's table of
/// connections, which everybody on it needs. Not every kernel has the expression; the rest of the fence stands without.
pub(super) fn limit_connections(socket: &mut Socket, table: &str, uplink: u32, most: u32) -> io::Result<()> {
    // 1 is the number, 2 says "above".
    let above = expression("connlimit", Nested::new().with(1, most.to_be_bytes()).with(2, 1u32.to_be_bytes()));
    let from_uplink = vec![meta(META_IIF), compare(EQUAL, uplink.to_ne_bytes())];
    let limit = [from_uplink, is(STATE_NEW), vec![above, counter(), verdict(VERDICT_DROP)]].concat();
    batch(socket, vec![rule(table, "forward", limit)])
}

/// Installs the gateway's table. It looks at packets before they are routed, because the routes' own refusal (which stands
/// behind it) is told once a second only, and a refusal must be told each time.
pub(super) fn install_gateway(
    socket: &mut Socket,
    uplink: u32,
    gateway: Ipv4Addr,
    refused: impl Iterator<Item = Network>,
    ports: &[(i32, u16)],
) -> io::Result<()> {
    let table = "egress";
    let own = Network { address: gateway, prefix: 32 };
    let mut messages = vec![
        chain(table, "policy", "filter", HOOK_PREROUTING, BEFORE_FILTER),
        rule(table, "policy", vec![meta(META_IIF), compare(EQUAL, uplink.to_ne_bytes()), verdict(VERDICT_ACCEPT)]),
        rule(table, "policy", [to(own), vec![verdict(VERDICT_ACCEPT)]].concat()),
    ];
    messages.extend(refused.flat_map(|network| refuse(table, "policy", &to(network))));
    messages.extend(ports.iter().flat_map(|&(protocol, port)| refuse(table, "policy", &to_port(protocol, port))));
    // It goes with the namespace, which the kernel takes away without anybody waiting for it.
    install_table(socket, table, 0, messages)
}

/// Chains of this host that drop forwarded packets unless a rule of theirs says otherwise (`table chain`). No table of ours can
/// overrule that: sandboxes then reach nothing until the administrator lets them. Docker's daemon sets such a policy.
pub(super) fn dropping_chains(socket: &mut Socket) -> io::Result<Vec<String>> {
    let chains = socket.dump(GET_CHAIN, &[0; 4])?;
    Ok(chains.iter().filter_map(|chain| dropping_chain(chain)).collect())
}

fn dropping_chain(message: &[u8]) -> Option<String> {
    let (&[family, ..], content) = message.split_first_chunk::<4>()?;
    if family != FAMILY_IPV4 && family != FAMILY_INET {
        return None;
    }
    let find = |wanted: u16, content| attributes(content).find(|(kind, _)| *kind == wanted).map(|(_, value)| value);
    let name = |kind| find(kind, content).map(|value| String::from_utf8_lossy(value).trim_end_matches('\0').to_owned());
    let hook = find(HOOK_NUMBER, find(CHAIN_HOOK, content)?)?;
    let drops = hook == HOOK_FORWARD.to_be_bytes() && find(CHAIN_POLICY, content)? == VERDICT_DROP.to_be_bytes();
    drops.then(|| format!("{} {}", name(CHAIN_TABLE).unwrap_or_default(), name(CHAIN_NAME).unwrap_or_default()))
}

/// All of it or nothing.
fn install_table(socket: &mut Socket, table: &str, flags: u32, content: Vec<Message>) -> io::Result<()> {
    let new_table = Message::new(NEW_TABLE, libc::NLM_F_CREATE | libc::NLM_F_EXCL, &[FAMILY_IPV4, 0, 0, 0])
        .with(TABLE_NAME, text(table))
        .with(TABLE_FLAGS, flags.to_be_bytes());
    batch(socket, [new_table].into_iter().chain(content).collect())
}

fn batch(socket: &mut Socket, content: Vec<Message>) -> io::Result<()> {
    let border = |kind| Message::without_ack(kind, 0, &[0, 0, 0, 10]);
    let acks = content.len();
    let messages = [border(BATCH_BEGIN)].into_iter().chain(content).chain([border(BATCH_END)]);
    socket.requests(messages.collect(), acks)
}

fn chain(table: &str, name: &str, kind: &str, hook: u32, priority: i32) -> Message {
    let hook = Nested::new().with(HOOK_NUMBER, hook.to_be_bytes()).with(HOOK_PRIORITY, priority.to_be_bytes());
    Message::new(NEW_CHAIN, libc::NLM_F_CREATE, &[FAMILY_IPV4, 0, 0, 0])
        .with(CHAIN_TABLE, text(table))
        .with(CHAIN_NAME, text(name))
        .with_nested(CHAIN_HOOK, hook)
        .with(CHAIN_TYPE, text(kind))
}

/// A rule of expressions, each evaluated while those before it match.
fn rule(table: &str, chain: &str, expressions: Vec<Nested>) -> Message {
    let list = expressions.into_iter().fold(Nested::new(), |list, one| list.with_nested(LIST_ELEMENT, one));
    Message::new(NEW_RULE, libc::NLM_F_CREATE | libc::NLM_F_APPEND, &[FAMILY_IPV4, 0, 0, 0])
        .with(RULE_TABLE, text(table))
        .with(RULE_CHAIN, text(chain))
        .with_nested(RULE_EXPRESSIONS, list)
}

fn expression(name: &str, data: Nested) -> Nested {
    Nested::new().with(EXPRESSION_NAME, text(name)).with_nested(EXPRESSION_DATA, data)
}

/// Loads a fact about the packet into the register. 1 is the register, 2 the fact.
fn meta(key: u32) -> Nested {
    expression("meta", Nested::new().with(1, REGISTER.to_be_bytes()).with(2, key.to_be_bytes()))
}

/// Goes on if the register compares. 1 is the register, 2 the comparison, 3 the value.
fn compare(how: u32, value: impl AsRef<[u8]>) -> Nested {
    let value = Nested::new().with(1, value);
    let data = Nested::new().with(1, REGISTER.to_be_bytes()).with(2, how.to_be_bytes());
    expression("cmp", data.with_nested(3, value))
}

/// Masks the register. 1 and 2 are registers, 3 the length, 4 the mask, 5 what is flipped.
fn mask(mask: [u8; 4]) -> Nested {
    let data = Nested::new()
        .with(1, REGISTER.to_be_bytes())
        .with(2, REGISTER.to_be_bytes())
        .with(3, 4u32.to_be_bytes())
        .with_nested(4, Nested::new().with(1, mask))
        .with_nested(5, Nested::new().with(1, [0; 4]));
    expression("bitwise", data)
}

/// Loads bytes of the packet into the register. 1 is the register, 2 the header, 3 the offset, 4 the length.
fn payload(header: u32, offset: u32, length: u32) -> Nested {
    let data = Nested::new().with(1, REGISTER.to_be_bytes()).with(2, header.to_be_bytes());
    expression("payload", data.with(3, offset.to_be_bytes()).with(4, length.to_be_bytes()))
}

/// Goes on if the address that stands there belongs to `network`.
fn address_in(offset: u32, network: Network) -> Vec<Nested> {
    let base = network.address.to_bits() & network.mask();
    let masked = mask(network.mask().to_be_bytes());
    vec![payload(NETWORK_HEADER, offset, 4), masked, compare(EQUAL, base.to_be_bytes())]
}

fn from(network: Network) -> Vec<Nested> {
    address_in(SOURCE_ADDRESS_AT, network)
}

fn to(network: Network) -> Vec<Nested> {
    address_in(DESTINATION_ADDRESS_AT, network)
}

fn to_port(protocol: i32, port: u16) -> Vec<Nested> {
    let protocol = u8::try_from(protocol).unwrap_or(0);
    vec![
        meta(META_PROTOCOL),
        compare(EQUAL, [protocol]),
        payload(TRANSPORT_HEADER, DESTINATION_PORT_AT, 2),
        compare(EQUAL, port.to_be_bytes()),
    ]
}

fn counter() -> Nested {
    expression("counter", Nested::new())
}

/// Goes on if connection tracking has given the packet this state.
fn is(state: u32) -> Vec<Nested> {
    // 1 is the register, 2 the fact: 0 for the state.
    let known = Nested::new().with(1, REGISTER.to_be_bytes()).with(2, 0u32.to_be_bytes());
    vec![expression("ct", known), mask(state.to_ne_bytes()), compare(NOT_EQUAL, [0; 4])]
}

fn verdict(code: u32) -> Nested {
    let verdict = Nested::new().with_nested(2, Nested::new().with(1, code.to_be_bytes()));
    expression("immediate", Nested::new().with(1, VERDICT_REGISTER.to_be_bytes()).with_nested(2, verdict))
}

/// Rules that refuse what `matching` matches, and say so in the way that makes a build fail at once: a connection is reset,
/// because an ICMP answer that arrives while the sender is still within its `connect` is not heard before the next attempt,
/// a second later; anything else gets that answer.
fn refuse(table: &str, chain: &str, matching: &[Nested]) -> [Message; 2] {
    let tcp = vec![meta(META_PROTOCOL), compare(EQUAL, [TCP]), counter(), reject(REJECT_WITH_RESET)];
    let other = vec![counter(), reject(REJECT_WITH_ICMP)];
    [tcp, other].map(|end| rule(table, chain, [matching, &end].concat()))
}

/// 1 is the way of refusing, 2 the ICMP code.
fn reject(how: u32) -> Nested {
    expression("reject", Nested::new().with(1, how.to_be_bytes()).with(2, [ICMP_PROHIBITED]))
}
