//! Where disks are: paths below /sys in, addresses as the schema has them out. What needs udev with
//! the reference is read from sysfs itself.

use crate::bytes::{copy, trimmed};
use crate::command::left_out;
use crate::elements::Elements;
use crate::errno::Errno;
use crate::formats::fields::cut;
use crate::formats::sysfs::{Way, last};
use crate::limits::SYS_PATH_BYTES_MAX;
use crate::list::whole;
use crate::platform::{Device, Folder, Platform};
use crate::task::Risks;
use crate::writer::Writer;

/// Room for a path below /sys.
pub struct SysPath([u8; SYS_PATH_BYTES_MAX]);

/// The folder of a device, below /sys/devices.
pub struct SysFolder<'p>(Writer<'p>);

impl SysPath {
    /// An empty one.
    pub const EMPTY: Self = SysPath([0; SYS_PATH_BYTES_MAX]);

    /// To write it with.
    pub fn writer(&mut self) -> Writer<'_> {
        Writer::new(&mut self.0)
    }

    /// The folder that a link below /sys leads to: links there are relative, and lead to
    /// /sys/devices.
    #[inline(never)]
    pub fn of_link<P: Platform>(&mut self, platform: &mut P, link: &[u8]) -> Option<SysFolder<'_>> {
        let mut to = [0; SYS_PATH_BYTES_MAX];
        let len = there(platform.link(link, &mut to), platform)?;
        // One that fills it may be cut.
        let mut to = to.get(..len).filter(|to| to.len() < SYS_PATH_BYTES_MAX)?;
        while let Some(rest) = to.strip_prefix(b"../") {
            to = rest;
        }
        let mut path = self.writer();
        path.ascii("/sys/");
        path.raw(to);
        (!path.is_full()).then_some(SysFolder(path))
    }
}

impl SysFolder<'_> {
    /// Its path.
    pub fn written(&self) -> &[u8] {
        self.0.written()
    }

    /// Whether it is no disk of its own, but made by the kernel of others, or of nothing.
    pub fn is_virtual(&self) -> bool {
        self.written().starts_with(b"/sys/devices/virtual/block/")
    }
}

/// What a call gives, if what it asks for is there: where it fails otherwise, that is in the log.
pub fn there<P: Platform, R>(result: Result<R, Errno>, platform: &mut P) -> Option<R> {
    result.map_err(|errno| missing(platform, errno)).ok()
}

/// Says what could not be read, unless it is not there.
#[inline(never)]
fn missing<P: Platform>(platform: &mut P, errno: Errno) {
    if !matches!(errno, Errno::NOENT | Errno::NOTDIR | Errno::TIMEDOUT) {
        left_out(platform, errno);
    }
}

/// What a file below `path` says, without blanks around it; nothing where there is none.
#[inline(never)]
pub fn attribute<'t, P: Platform>(
    platform: &mut P,
    path: &mut Writer<'_>,
    name: &str,
    text: &'t mut [u8],
) -> Option<&'t [u8]> {
    let len = path.len();
    path.ascii(name);
    let text = if path.is_full() {
        Err(Errno::NAMETOOLONG)
    } else {
        whole(platform, path.written(), text)
    };
    path.rewind(len);
    there(text, platform).map(|text| trimmed(text))
}

/// The number of the device whose folder this is, if it is one.
#[inline(never)]
fn number<P: Platform>(platform: &mut P, path: &mut Writer<'_>) -> Option<Device> {
    attribute(platform, path, "/dev", &mut [0; 24]).and_then(Device::parse)
}

/// What to do with each of the devices that another one is made of: its name, and its number.
pub type Visit<'v, P> = &'v mut dyn FnMut(&mut P, &[u8], Device);

/// Visits the devices in the folder `name` below `path`.
#[inline(never)]
pub fn slaves<P: Platform>(
    platform: &mut P,
    path: &mut Writer<'_>,
    name: &str,
    visit: Visit<'_, P>,
) {
    let len = path.len();
    path.ascii(name);
    if let Some(mut folder) = there(platform.folder(path.written()), platform) {
        let folder_len = path.len();
        while let Some(name) = folder.next_name() {
            path.ascii("/");
            path.raw(name);
            // `..` has one as well.
            if !name.starts_with(b".")
                && let Some(number) = number(platform, path)
            {
                visit(platform, name, number);
            }
            path.rewind(folder_len);
        }
        there(folder.ended(), platform);
    }
    path.rewind(len);
}

/// The path of a device by its name in sysfs, which has `!` for a slash, as a string.
#[inline(never)]
pub fn dev(mut name: &[u8], out: &mut Writer<'_>) {
    out.ascii("\"/dev");
    while !name.is_empty() {
        out.ascii("/");
        out.text(cut(&mut name, b'!'));
    }
    out.ascii("\"");
}

/// Which of the ports of its controller a disk is on: how many there are with a lower number.
#[inline(never)]
fn port<P: Platform>(platform: &mut P, controller: &[u8], ata: u64) -> u64 {
    let mut lower = 0;
    if let Some(mut folder) = there(platform.folder(controller), platform) {
        while let Some(name) = folder.next_name() {
            let other = name.strip_prefix(b"ata").and_then(crate::bytes::decimal);
            lower += u64::from(other.is_some_and(|other| other < ata));
        }
        there(folder.ended(), platform);
    }
    lower
}

/// Which bus a disk is on, and its place there.
fn place<P: Platform>(
    platform: &mut P,
    way: &Way,
    folder: &[u8],
    disk: &mut Writer<'_>,
) -> (&'static str, [u32; 3]) {
    let [channel, target, unit] = way.scsi.unwrap_or_default();
    let controller = folder.get(..way.pci_bytes).unwrap_or(&[]);
    match (way.named, way.ata, way.scsi) {
        (Some("virtio"), _, Some(_)) => ("scsi", [channel, target, unit]),
        (Some("mmc"), ..) => {
            let mut text = [0; 16];
            let kind = attribute(platform, disk, "/device/type", &mut text);
            (if kind == Some(b"SD") { "sd" } else { "mmc" }, [0; 3])
        }
        (Some(named), ..) => (named, [channel, target, unit]),
        (None, Some(ata), _) => {
            let port = port(platform, controller, ata) as u32;
            match driver(platform, controller) {
                Driver::Ide => ("ide", [port, 0, target]),
                _ => ("sata", [0, 0, port]),
            }
        }
        // Targets and units of libvirt's are those of SCSI, except that for controllers that it
        // knows to have no logical units it calls the target the unit.
        (None, None, Some(_)) => match driver(platform, controller) {
            Driver::Targets => ("scsi", [channel, 0, target]),
            _ => ("scsi", [channel, target, unit]),
        },
        _ => ("unknown", [0; 3]),
    }
}

/// Writes where a disk or partition is, by the folder of it: libvirt finds its disks by this. Gives
/// back what the folder's path says, and the key of what else of the disk may hang. Schema:
/// GuestDiskAddress (2.2).
#[inline(never)]
pub fn address<P: Platform>(
    platform: &mut P,
    risks: Risks,
    folder: &[u8],
    elements: &mut Elements<'_>,
) -> (Way, u64) {
    // What a partition lacks its disk has, in the folder above.
    let mut disk = SysPath::EMPTY;
    let mut disk = disk.writer();
    disk.raw(folder);
    if attribute(platform, &mut disk, "/partition", &mut [0; 24]).is_some() {
        disk.ascii("/..");
    }
    // 0 stands for none.
    let key = !number(platform, &mut disk).unwrap_or_default().0;
    let way = Way::parse(folder);
    elements.make_room(platform);
    let out = &mut elements.out;
    out.ascii("{\"pci-controller\": {");
    match way.pci {
        Some(pci) => out.words("domain bus slot function", &pci),
        None => out.ascii("\"domain\": -1, \"bus\": -1, \"slot\": -1, \"function\": -1"),
    }
    out.ascii("}");
    let (kind, place) = place(platform, &way, folder, &mut disk);
    out.key("bus-type");
    out.string(kind.as_bytes());
    out.words("bus target unit", &place);
    let mut text = [0; 256];
    let serial = risks.risk(platform, key, |platform| Ok(serial(platform, &mut disk, &mut text)));
    if let Ok(serial @ [_, ..]) = serial {
        elements.out.key("serial");
        elements.string(platform, serial);
    }
    elements.make_room(platform);
    let out = &mut elements.out;
    out.key("dev");
    dev(last(folder), out);
    if let Some(ccw) = way.ccw {
        out.key("ccw-address");
        out.ascii("{");
        out.words("cssid ssid subchno devno", &ccw);
        out.ascii("}");
    }
    out.ascii("}");
    (way, key)
}

/// What a disk's place depends on.
enum Driver {
    /// Of ATA disks, two of which are on a port.
    Ide,
    /// Of SCSI disks, which libvirt tells apart by their target alone: its models `lsilogic`, and
    /// `dc390` and `am53c974`.
    Targets,
    /// Any other one.
    Other,
}

/// Which driver a controller has.
#[inline(never)]
fn driver<P: Platform>(platform: &mut P, controller: &[u8]) -> Driver {
    let mut path = SysPath::EMPTY;
    let mut path = path.writer();
    path.raw(controller);
    path.ascii("/driver");
    let mut to = [0; SYS_PATH_BYTES_MAX];
    let len = there(platform.link(path.written(), &mut to), platform).unwrap_or(0);
    match last(to.get(..len).unwrap_or(&[])) {
        b"ata_piix" => Driver::Ide,
        b"sym53c8xx" | b"am53c974" => Driver::Targets,
        name if name.starts_with(b"pata_") => Driver::Ide,
        _ => Driver::Other,
    }
}

/// Where serial numbers are.
const SERIALS: [&str; 4] =
    ["/serial", "/device/serial", "/device/vpd_pg80", "/device/../../../../serial"];

/// The serial number of a disk, by its folder; nothing where it has none.
#[inline(never)]
fn serial<'t, P: Platform>(
    platform: &mut P,
    disk: &mut Writer<'_>,
    text: &'t mut [u8],
) -> &'t [u8] {
    let mut len = 0;
    // Of virtio; of nvme and mmc; of SCSI, and of what the kernel shows as that: page 0x80 of the
    // vital product data, after four bytes of which the last two say its length; of USB, whose
    // device is above interface, host, target and logical unit.
    for name in SERIALS {
        let mut page = [0; 260];
        let Some(said) = attribute(platform, disk, name, &mut page) else { continue };
        let said = match name {
            "/device/vpd_pg80" => trimmed(said.get(4..).unwrap_or(&[])),
            _ => said,
        };
        len = copy(text, said);
        if len > 0 {
            break;
        }
    }
    text.get(..len).unwrap_or(&[])
}
