//! Two processes, two users, and a door that only they may pass.

use crate::stage::api::Api;
use crate::stage::lane::{Lane, authorize, capture, quick};
use crate::stage::processes::status_line;
use crate::stage::{Setting, Stage, binary};
use crate::tools::{file_says, is_root, must, run_command};
use lab::desk::text;
use lab::phone::Transport;
use reqwest::Method;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// CAP_NET_ADMIN, CAP_NET_RAW and CAP_BPF.
const MEDIA_RIGHTS: u64 = 1 << 12 | 1 << 13 | 1 << 39;
const GROUP: &str = "tonewall-door";
const USERS: [&str; 2] = ["tonewall-cde", "tonewall-office"];
const TOOL_MAX: Duration = Duration::from_secs(15);
/// A user with no part in this: `nobody`.
const STRANGER: u32 = 65_534;

/// The users, made if they are missing; what was made goes again.
struct Users {
    made: Vec<[&'static str; 2]>,
}

impl Users {
    async fn make() -> anyhow::Result<Self> {
        let mut users = Self { made: Vec::new() };
        if id_of("group", GROUP).await.is_none() {
            must("groupadd", &["--system", GROUP], TOOL_MAX).await?;
            users.made.push(["groupdel", GROUP]);
        }
        for user in USERS {
            if id_of("passwd", user).await.is_none() {
                let rights = ["--system", "--no-create-home", "--shell", "/usr/sbin/nologin", "--gid", GROUP, user];
                must("useradd", &rights, TOOL_MAX).await?;
                users.made.insert(0, ["userdel", user]);
            }
        }
        Ok(users)
    }
}

impl Drop for Users {
    fn drop(&mut self) {
        for [program, name] in &self.made {
            let _ = Command::new(program).arg(name).output();
        }
    }
}

async fn id_of(table: &str, name: &str) -> Option<u32> {
    must("getent", &[table, name], TOOL_MAX).await.ok()?.split(':').nth(2)?.parse().ok()
}

/// Runs a program as another user; was it good, and what did it say?
async fn as_user(uid: u32, gid: u32, program: &str, arguments: &[&str]) -> anyhow::Result<(bool, String)> {
    let mut command = Command::new(program);
    command.args(arguments).uid(uid).gid(gid).current_dir("/");
    let said = run_command(&mut command, TOOL_MAX).await?;
    Ok((said.good, said.all().trim().to_owned()))
}

/// Knocks at the door and says what comes within two seconds: the name of an error, `closed`, or `words`.
const KNOCK: &str = "const s = require('net').connect(process.argv[1]); \
    const end = (what) => { console.log(what); process.exit(0); }; \
    s.on('error', (e) => end(e.code)); s.on('data', () => end('words')); s.on('end', () => end('closed')); \
    s.on('connect', () => s.write(JSON.stringify({v: Number(process.argv[2]), seq: 1, say: 'hello', journal: null, acknowledged: 0}) + '\\n')); \
    setTimeout(() => end('nothing'), 2000);";

async fn knock(uid: u32, gid: u32, door: &Path) -> anyhow::Result<String> {
    Ok(as_user(uid, gid, "node", &["-e", KNOCK, &door.to_string_lossy(), &wire::VERSION.to_string()]).await?.1)
}

/// A copy that every user can start, wherever the build lies.
fn program_for_all() -> anyhow::Result<PathBuf> {
    let folder = std::env::temp_dir().join(format!("tonewall-users-{}", std::process::id()));
    std::fs::create_dir_all(&folder)?;
    let copy = folder.join("tonewall");
    std::fs::copy(binary::normal(), &copy)?;
    std::fs::set_permissions(&copy, std::fs::Permissions::from_mode(0o755))?;
    Ok(copy)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn started_as_root_the_office_cannot_reach_what_the_cde_keeps() -> anyhow::Result<()> {
    if !is_root() {
        eprintln!("not root: two users cannot be tried. Run the tests as root to see this promise kept");
        return Ok(());
    }
    let users = Users::make().await?;
    let program = program_for_all()?;
    let mut lane = Lane::new("1001").await?;
    let setting = Setting {
        binary: program.clone(),
        one_user: false,
        records: false,
        ..Setting::new(7, vec![lane.route().await?])
    };
    let stage = Stage::start("users", setting).await?;
    let (cde, office) = (id_of("passwd", USERS[0]).await.unwrap(), id_of("passwd", USERS[1]).await.unwrap());
    let group = id_of("group", GROUP).await.unwrap();
    processes(&stage, cde, office).await?;
    files(&stage, cde, office, group).await?;
    // The rights that the cde gave up it had for this, where root has them itself.
    let held = status_line(std::process::id(), "CapEff").and_then(|held| u64::from_str_radix(&held, 16).ok());
    if held.is_some_and(|held| held & MEDIA_RIGHTS == MEDIA_RIGHTS) {
        file_says(&stage.folder.join("serve.log"), "steered to one socket a thread", TOOL_MAX).await?;
    }

    // And it works: a payment under two users.
    let desk = stage.desk("1001").await?;
    let call = lane.connect(&stage, &desk).await?;
    let keys = ["4242424242424242*", "1235", "123"];
    let payment = capture(&lane, &desk, &call, 4200, &keys, quick(Transport::Events)).await?;
    assert_eq!(text(&authorize(&desk, &payment).await?, "/state"), "approved");
    lane.caller.hang_up().await?;
    stage.passed();

    works_elsewhere(&program, cde, office).await?;
    drop(users);
    std::fs::remove_dir_all(program.parent().unwrap())?;
    Ok(())
}

/// The same with every folder configured: root has made them for whom they are.
async fn works_elsewhere(program: &Path, cde: u32, office: u32) -> anyhow::Result<()> {
    // Phones of their own: those of the call before may not have heard yet that it is over.
    let mut lane = Lane::new("1001").await?;
    let setting = Setting {
        binary: program.to_owned(),
        one_user: false,
        elsewhere: true,
        ..Setting::new(13, vec![lane.route().await?])
    };
    let stage = Stage::start("elsewhere", setting).await?;
    let rights = |name: &str| std::fs::metadata(stage.folder.join(name)).map(|data| (data.uid(), data.mode() & 0o777));
    assert_eq!(rights("var/journal")?, (cde, 0o710));
    assert_eq!(rights("var/recordings")?, (cde, 0o700));
    assert_eq!(rights("run")?, (cde, 0o750));
    assert_eq!(rights("var/office/office.db")?, (office, 0o600));
    let desk = stage.desk("1001").await?;
    lane.connect(&stage, &desk).await?;
    lane.caller.hang_up().await?;
    assert_eq!(std::fs::read_dir(stage.folder.join("var/recordings"))?.count(), 1, "the call was recorded");
    stage.passed();
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_first_start_prints_a_link_that_signs_the_admin_in_once() -> anyhow::Result<()> {
    let stage = Stage::start("first", Setting::new(10, Vec::new())).await?;
    let log = file_says(&stage.folder.join("serve.log"), "This link signs in", TOOL_MAX).await?;
    let link = log.split_whitespace().find_map(|word| word.strip_prefix(&format!("http://{}/api", stage.office)));
    let link = format!("/api{}", link.unwrap());
    let browser = Api::stranger(&stage);
    let desk = browser.send(Method::GET, &link, None).await?;
    assert_eq!((desk.status, desk.kind.split(';').next()), (200, Some("text/html")), "the link leads to the desk");
    assert_eq!(browser.send(Method::GET, &link, None).await?.problem(), (401, "bad_link".to_owned()));
    stage.passed();
    Ok(())
}

async fn processes(stage: &Stage, cde: u32, office: u32) -> anyhow::Result<()> {
    let (first, second) = (stage.pid("cde").await?, stage.pid("office").await?);
    for (pid, uid) in [(first, cde), (second, office)] {
        let ids = status_line(pid, "Uid").unwrap_or_default();
        assert!(ids.split_whitespace().all(|id| id == uid.to_string()), "process {pid}: user ids {ids}, wanted {uid}");
        assert_eq!(status_line(pid, "CapEff").as_deref(), Some("0000000000000000"));
        assert_eq!(status_line(pid, "CapPrm").as_deref(), Some("0000000000000000"));
        let groups = status_line(pid, "Groups").unwrap_or_default();
        assert!(!groups.split_whitespace().any(|group| group == "0"), "process {pid} is in root's group: {groups}");
    }
    assert_eq!(status_line(first, "NoNewPrivs").as_deref(), Some("1"));
    let limits = std::fs::read_to_string(format!("/proc/{first}/limits"))?;
    let core = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap_or_default();
    assert_eq!(core.split_whitespace().skip(4).take(2).collect::<Vec<_>>(), ["0", "0"], "{core}");
    // The kernel gives the files of a process that cannot be dumped to root, whoever runs it.
    assert_eq!(std::fs::metadata(format!("/proc/{first}/environ"))?.uid(), 0, "the cde process can be dumped");
    for uid in [cde, office, STRANGER] {
        let (good, said) = as_user(uid, STRANGER, "head", &["-c1", &format!("/proc/{first}/mem")]).await?;
        assert!(!good && said.contains("Permission denied"), "user {uid} may open the cde's memory: {said}");
    }
    Ok(())
}

async fn files(stage: &Stage, cde: u32, office: u32, group: u32) -> anyhow::Result<()> {
    let rights = |file: &Path| std::fs::metadata(file).map(|data| (data.uid(), data.mode() & 0o777));
    let own = stage.folder.join("cde.toml");
    assert_eq!(rights(&own)?, (cde, 0o600));
    let journal = stage.folder.join("cde-data/journal.db");
    for file in [&own, &journal] {
        for uid in [office, STRANGER] {
            let (good, said) = as_user(uid, group, "head", &["-c1", &file.to_string_lossy()]).await?;
            assert!(!good && said.contains("Permission denied"), "user {uid} can read {}: {said}", file.display());
        }
    }
    let (good, said) =
        as_user(cde, group, "head", &["-c1", &stage.folder.join("office-data/office.db").to_string_lossy()]).await?;
    assert!(!good && said.contains("Permission denied"), "the cde can read the office's database: {said}");
    let door = stage.folder.join("cde-data/door/door.sock");
    assert_eq!(rights(&door)?, (cde, 0o660));
    assert_eq!(std::fs::metadata(&door)?.gid(), group);
    // Without the group nobody comes near it; with the group, the wrong user is turned away without a word.
    assert_eq!(knock(STRANGER, STRANGER, &door).await?, "EACCES");
    let turned_away = knock(STRANGER, group, &door).await?;
    assert!(["closed", "ECONNRESET", "EPIPE"].contains(&turned_away.as_str()), "a stranger at the door: {turned_away}");
    assert!(stage.log().contains("a stranger knocked at the door"));
    // The control: the right user is answered, so the knock itself is a good one.
    assert_eq!(knock(office, group, &door).await?, "words");
    stage.ready().await
}
