//! Programs, files and what they see.

use std::time::Duration;

use model::request::FileSet;
use wire::init::{InputMode, Status, TarLimits};

use super::at::{At, Did, expect, finish, say};
use super::{Outcome, Subject};
use crate::session::TarPlace;
use crate::{Ids, Tmpfs, User};

pub(super) async fn programs_report_their_exit_codes(subject: &Subject<'_>) -> Outcome {
    let at = At::new(subject).await?;
    for (script, code) in [("true", 0), ("exit 7", 7), ("kill -9 $$", 137), ("kill -TERM $$", 143), ("exit 255", 255)] {
        let did = at.sh(script).await?;
        expect(did.code == code, || format!("{script:?}: {did:?}"))?;
    }
    let mut spec = at.spec_of("");
    spec.argv = vec!["/no/such/program".into()];
    expect(at.session.exec(spec).await.is_err(), || "a missing program was started".into())?;
    at.destroy().await.map(drop)
}

pub(super) async fn streams_are_kept_apart(subject: &Subject<'_>) -> Outcome {
    let at = At::new(subject).await?;
    let did = at.sh("echo out; echo err >&2; printf end").await?;
    let expected = Did { code: 0, stdout: "out\nend".into(), stderr: "err\n".into() };
    expect(did == expected, || format!("{did:?}"))?;
    // More than fits into any pipe or window.
    let did = at.sh("dd if=/dev/zero bs=65536 count=64 2>/dev/null | tr '\\000' x").await?;
    expect(did.stdout.len() == 64 * 65536 && did.stdout.bytes().all(|b| b == b'x'), || {
        format!("{} bytes of 4 MiB", did.stdout.len())
    })?;
    at.destroy().await.map(drop)
}

pub(super) async fn input_reaches_a_program(subject: &Subject<'_>) -> Outcome {
    let at = At::new(subject).await?;
    let mut spec = at.spec_of("cat");
    spec.input = InputMode::Pipe;
    let running = at.session.exec(spec).await.map_err(say)?;
    let mut input = running.input();
    input.send(b"to and fro").await.map_err(say)?;
    drop(input);
    let did = finish(running).await?;
    expect(did.stdout == "to and fro", || format!("{did:?}"))?;
    at.destroy().await.map(drop)
}

pub(super) async fn the_workload_is_the_user_that_was_asked_for(subject: &Subject<'_>) -> Outcome {
    let users = [
        (User::default(), "1000:1000"),
        (User::Ids(Ids { uid: 4321, gid: 1234 }), "4321:1234"),
        (User::Named("root".into()), "0:0"),
        (User::Named("7:8".into()), "7:8"),
    ];
    for (user, expected) in users {
        let mut spec = (subject.spec)();
        spec.user = user;
        let at = At::with(subject, spec).await?;
        let ids = at.out("echo $(id -u):$(id -g)").await?;
        expect(ids == expected, || format!("{ids} instead of {expected}"))?;
        let capabilities = at.out("grep -E '^Cap(Inh|Prm|Eff|Bnd|Amb)' /proc/self/status | cut -f2 | sort -u").await?;
        expect(capabilities == "0000000000000000", || format!("{expected} has capabilities {capabilities}"))?;
        at.destroy().await?;
    }
    let mut spec = (subject.spec)();
    spec.user = User::Named("nobody-of-that-name".into());
    let result = subject.driver.create(spec).await;
    expect(matches!(result, Err(crate::CreateError::UnknownUser { .. })), || format!("{result:?}"))
}

pub(super) async fn the_workspace_belongs_to_the_user(subject: &Subject<'_>) -> Outcome {
    let mut spec = (subject.spec)();
    spec.workspace.path = "/var/lib/made/on the way".into();
    let at = At::with(subject, spec).await?;
    let found = at.out("pwd; echo text > file; stat -c %u:%g . file").await?;
    expect(found == "/var/lib/made/on the way\n1000:1000\n1000:1000", || found.clone())?;
    let beside = at.sh("touch ../x").await?;
    expect(beside.code != 0, || "the parent of the workspace is writable".into())?;
    at.out("touch '/var/lib/made/on the way@tmp/x'").await?;
    at.destroy().await.map(drop)
}

pub(super) async fn files_go_in_and_out(subject: &Subject<'_>) -> Outcome {
    let at = At::new(subject).await?;
    let user = Some(at.spec_of("").user);
    let path = format!("{}/deep/er/file", at.sandbox.workspace);
    let content: Vec<u8> = (0..300_000u32).flat_map(u32::to_le_bytes).collect();
    at.session.write_file(user.clone(), &path, &content, 0o644).await.map_err(say)?;
    let sum = at.out("wc -c < deep/er/file; stat -c %u deep/er/file").await?;
    expect(sum == "1200000\n1000", || sum.clone())?;
    let back = at.session.read_file(user.clone(), &path, 2_000_000).await.map_err(say)?;
    expect(back == content, || "another content came back".into())?;
    expect(at.session.read_file(user.clone(), &path, 1000).await.is_err(), || "a size limit did not hold".into())?;
    at.session.remove_tree(user.clone(), &format!("{}/deep", at.sandbox.workspace), false).await.map_err(say)?;
    let found = at.session.stat(user, &path, true).await.map_err(say)?;
    expect(found.is_none(), || "a removed file is there".into())?;
    at.destroy().await.map(drop)
}

pub(super) async fn folders_go_in_and_out(subject: &Subject<'_>) -> Outcome {
    let at = At::new(subject).await?;
    let user = at.spec_of("").user;
    let limits = TarLimits { entries: 100, bytes: 10 << 20 };
    let mut tar = tar::Builder::new(Vec::new());
    for index in 0..20_u8 {
        let content = vec![index; 100_000];
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        header.set_mode(0o640);
        let name = format!("a/b{}/file{index}", index % 3);
        tar.append_data(&mut header, name, content.as_slice()).map_err(say)?;
    }
    let tar = tar.into_inner().map_err(say)?;
    let place =
        || TarPlace { user: Some(user.clone()), dir: format!("{}/in", at.sandbox.workspace), owner: None, limits };
    let put = at.session.put_tar(place(), tar.as_slice()).await.map_err(say)?;
    expect(put.entries == 20 && put.skipped.count == 0, || format!("{put:?}"))?;
    let seen = at.out("find in -type f | wc -l; stat -c %a in/a/b0/file3; cat in/a/b*/* | wc -c").await?;
    expect(seen == "20\n640\n2000000", || seen.clone())?;
    // A link that leads out is no way out.
    at.out("rm -r in/a/b0; ln -s /tmp in/a/b0").await?;
    let put = at.session.put_tar(place(), tar.as_slice()).await.map_err(say)?;
    let seen = at.out("ls /tmp | grep -c file || true").await?;
    expect(put.skipped.count == 7 && seen == "0", || format!("{put:?}, {seen}"))?;
    let files = FileSet {
        dir: format!("{}/in", at.sandbox.workspace),
        includes: String::new(),
        excludes: String::new(),
        default_excludes: false,
        case_sensitive: true,
    };
    let mut out = Vec::new();
    let got = at.session.get_tar(Some(user.clone()), files, limits, &mut out).await.map_err(say)?;
    expect(got.entries >= 13 && got.bytes >= 1_300_000, || format!("{got:?}"))?;
    at.destroy().await.map(drop)
}

pub(super) async fn signals_end_a_program(subject: &Subject<'_>) -> Outcome {
    let at = At::new(subject).await?;
    let mut running = at.start("trap 'exit 9' TERM; echo ready; while :; do sleep 0.1; done").await?;
    running.next().await.map_err(say)?;
    let exit = running.terminate(Duration::from_secs(20)).await.map_err(say)?;
    expect(exit.status == Status::Code(9), || format!("{:?}", exit.status))?;
    let mut running = at.start("trap '' TERM; echo ready; while :; do sleep 0.1; done").await?;
    running.next().await.map_err(say)?;
    let exit = running.terminate(Duration::from_millis(200)).await.map_err(say)?;
    expect(exit.status == Status::Signal(9), || format!("{:?}", exit.status))?;
    at.destroy().await.map(drop)
}

pub(super) async fn nothing_is_left_for_the_next(subject: &Subject<'_>) -> Outcome {
    let mut spec = (subject.spec)();
    spec.user = User::Named("root".into());
    let at = At::with(subject, spec).await?;
    at.out(
        "for d in / /tmp /dev/shm /etc /workspace /var/tmp; do echo secret > $d/left 2>/dev/null; done; ls /tmp/left",
    )
    .await?;
    at.destroy().await?;
    let at = At::new(subject).await?;
    let found = at.sh("ls /left /tmp/left /dev/shm/left /etc/left /workspace/left /var/tmp/left").await?;
    expect(found.stdout.is_empty(), || format!("found {}", found.stdout))?;
    at.destroy().await.map(drop)
}

pub(super) async fn left_behind_processes_die(subject: &Subject<'_>) -> Outcome {
    let at = At::new(subject).await?;
    let script = "(setsid sh -c 'trap \"\" TERM HUP INT; while :; do sleep 1; done' >/dev/null 2>&1 &) ; \
                  (setsid sh -c 'kill -STOP $$' >/dev/null 2>&1 &) ; echo done";
    at.out(script).await?;
    let before = std::time::Instant::now();
    at.destroy().await?;
    expect(before.elapsed() < Duration::from_secs(10), || format!("took {:?}", before.elapsed()))
}

pub(super) async fn only_loopback_is_reachable(subject: &Subject<'_>) -> Outcome {
    let at = At::new(subject).await?;
    let interfaces = at.out("tail -n +3 /proc/net/dev | cut -d: -f1 | tr -d ' '").await?;
    expect(interfaces == "lo", || format!("interfaces: {interfaces}"))?;
    let routes = at.out("tail -n +2 /proc/net/route").await?;
    expect(routes.is_empty(), || format!("routes: {routes}"))?;
    at.destroy().await.map(drop)
}

pub(super) async fn the_host_name_is_the_sandboxs_own(subject: &Subject<'_>) -> Outcome {
    let mut spec = (subject.spec)();
    spec.hostname = Some("a-name-of-its-own".into());
    spec.hosts = vec!["192.0.2.7 registry.example".into()];
    let at = At::with(subject, spec).await?;
    let found = at.out("cat /proc/sys/kernel/hostname /etc/hostname").await?;
    expect(found == "a-name-of-its-own\na-name-of-its-own", || found.clone())?;
    // An engine adds the address that it gave or had given, at the end.
    let own = "grep 'a-name-of-its-own$' /etc/hosts | head -n 2 | grep -cE '^(127.0.0.1|::1)[[:space:]]'";
    let found = at.out(own).await?;
    expect(found == "2", || format!("{found} of two addresses of its own"))?;
    at.out("grep -q '192.0.2.7[[:space:]]registry.example' /etc/hosts").await?;
    at.destroy().await.map(drop)?;
    // Where nobody names them, no two have the same name.
    let mut names = Vec::new();
    for _ in 0..2 {
        let at = At::new(subject).await?;
        let found = at.out("cat /proc/sys/kernel/hostname").await?;
        expect(found == at.sandbox.hostname && !names.contains(&found), || format!("{found} after {names:?}"))?;
        names.push(found);
        at.destroy().await.map(drop)?;
    }
    Ok(())
}

pub(super) async fn a_file_system_in_memory_is_mounted(subject: &Subject<'_>) -> Outcome {
    let mut spec = (subject.spec)();
    spec.tmpfs = vec![Tmpfs { path: "/some/cache".into(), bytes: 1 << 20, mode: 0o1777, exec: false }];
    let at = At::with(subject, spec).await?;
    let did = at.sh("head -c 2000000 /dev/zero > /some/cache/big").await?;
    expect(did.code != 0, || "2 MB fit into 1 MiB".into())?;
    at.out("rm /some/cache/big; echo fits > /some/cache/small").await?;
    at.destroy().await.map(drop)
}

pub(super) async fn a_read_only_root_keeps_the_workspace_writable(subject: &Subject<'_>) -> Outcome {
    let mut spec = (subject.spec)();
    spec.read_only_root = true;
    spec.user = User::Named("root".into());
    let at = At::with(subject, spec).await?;
    at.out("echo x > file; echo x > /tmp/file; echo x > /dev/shm/file").await?;
    let did = at.sh("echo x > /etc/file").await?;
    expect(did.code != 0 && did.stderr.contains("Read-only"), || format!("{did:?}"))?;
    at.destroy().await.map(drop)
}

pub(super) async fn a_workspace_is_shared(subject: &Subject<'_>) -> Outcome {
    let first = At::new(subject).await?;
    first.out("echo one > file").await?;
    let share = || {
        let mut spec = (subject.spec)();
        spec.workspace.share_with = Some(first.sandbox.id);
        spec.workspace.path = "/elsewhere".into();
        spec
    };
    let second = At::with(subject, share()).await?;
    let third = At::with(subject, share()).await?;
    let seen = second.out("cat file; echo two >> file").await?;
    expect(seen == "one", || seen.clone())?;
    let seen = first.out("cat file").await?;
    expect(seen == "one\ntwo", || seen.clone())?;
    first.destroy().await?;
    let seen = third.out("cat file; echo three >> file; stat -c %u file").await?;
    expect(seen == "one\ntwo\n1000", || seen.clone())?;
    third.destroy().await?;
    let seen = second.out("cat file; ls / | grep -c workspace || true").await?;
    expect(seen.starts_with("one\ntwo\nthree"), || seen.clone())?;
    second.destroy().await.map(drop)
}
