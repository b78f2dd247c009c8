//! The kinds of platform calls: a call's kind in, whether it can fail, moves bytes or takes a
//! descriptor out.

macro_rules! kinds {
    ($($kind:ident, $fails:literal, $text:literal;)*) => {
        /// What a platform call is. Each call of one of these kinds is a fault point if it can
        /// fail.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
        pub enum Kind { $(#[doc = $text] $kind,)* }

        impl Kind {
            /// All kinds.
            pub const ALL: &'static [Kind] = &[$(Kind::$kind),*];

            /// Whether a call of this kind can fail.
            pub const fn can_fail(self) -> bool {
                match self { $(Kind::$kind => $fails,)* }
            }
        }
    };
}

kinds! {
    Now, false, "`Clock::now_ms`.";
    Wall, true, "`WallClock::now_ns`.";
    Log, false, "`Log::log`.";
    Open, true, "`Files::open`.";
    Close, true, "`Files::close`.";
    Read, true, "A read of an open file.";
    Write, true, "A write to an open file.";
    Flush, true, "A flush of an open file or mark.";
    Seek, true, "A seek in an open file.";
    LoadState, true, "`Files::load_state`.";
    SaveState, true, "`Files::save_state`.";
    Mounts, true, "`Freeze::mounts`.";
    ReadTable, true, "A read of the mount table.";
    Inspect, true, "`Freeze::inspect`.";
    OpenMount, true, "`Freeze::open_mount`.";
    Freeze, true, "`Freeze::freeze`.";
    Thaw, true, "`Freeze::thaw`.";
    CreateMark, true, "`Freeze::create_mark`.";
    PublishMark, true, "`Freeze::publish_mark`.";
    OpenMark, true, "`Freeze::open_mark`.";
    RemoveMark, true, "`Freeze::remove_mark`.";
    ReadMark, true, "A read of the mark.";
    WriteMark, true, "A write to the mark.";
    SeekMark, true, "A seek in the mark.";
    BootId, true, "`Freeze::boot_id`.";
    StartProgram, true, "`Power::start_program`.";
    ProgramExit, false, "`Power::program_exit`.";
    ProgramOutput, false, "`Power::program_output`.";
    IsScript, false, "`Power::is_script`.";
    IsInit, false, "`Power::is_init`.";
    About, true, "`Power::about`.";
    SignalInit, true, "`Power::signal_init`.";
    MayReboot, true, "`Power::may_reboot`.";
    HoldInit, false, "`Power::hold_init`.";
    SignalAll, false, "`Power::signal_all`.";
    ProcessesRemain, false, "`Power::processes_remain`.";
    Unmount, true, "`Power::unmount`.";
    RemountReadOnly, true, "`Power::remount_read_only`.";
    Sync, false, "`Power::sync`.";
    Reboot, true, "`Power::reboot`.";
    InspectOpen, true, "`Freeze::inspect_open`.";
    Work, true, "`Freeze::work`.";
    Below, true, "`Freeze::below`.";
    StartHook, true, "`Hooks::start_hook`.";
    WaitForHook, true, "`Hooks::wait_for_hook`.";
    HookOutput, false, "`Hooks::hook_output`.";
    EndHook, false, "`Hooks::end_hook`.";
    Text, true, "`Texts::text`.";
    ReadText, true, "A read of a text.";
    Folder, true, "`Texts::folder`.";
    NextName, true, "`Folder::next_name`.";
    Name, true, "`Texts::name`.";
    BeginTask, true, "`Tasks::begin_task`.";
    PutMade, true, "`Tasks::put_made`.";
    Usage, true, "`Disks::usage`.";
    Link, true, "`Disks::link`.";
    Health, true, "`Disks::health`.";
    SetText, true, "`Settings::set`.";
    OpenTrim, true, "`Trim::trim`, its open.";
    Trim, true, "`Trim::trim`.";
    RunProgram, true, "`Programs::run_program`.";
    BecomeUser, true, "`Replace::become_user`.";
    Parent, true, "`Replace::parent` and `Replace::folder_in`.";
    MakeFolder, true, "`Replace::make_folder`.";
    Old, true, "`Replace::old`.";
    ReadOld, true, "A read of a file that is to be replaced.";
    Draft, true, "`Replace::draft`.";
    WriteDraft, true, "A write to a draft.";
    Publish, true, "`Replace::publish`.";
    RemoveFile, true, "`Replace::remove`.";
    LockUsers, true, "`Replace::lock_users`.";
    LockFile, true, "`Replace::lock_file`.";
    Links, true, "`Network::links`.";
    NextLink, true, "`Network::next_link`.";
    Addresses, true, "`Network::addresses`.";
    NextAddress, true, "`Network::next_address`.";
    SetWall, true, "`WallClock::set_ns`.";
    Rtc, true, "`WallClock::rtc`.";
    SetRtc, true, "`WallClock::set_rtc`.";
    Nothing, true, "`Exec::nothing`.";
    Memory, true, "`Exec::memory`.";
    Pipe, true, "`Exec::pipe`.";
    Enlarge, true, "`Exec::enlarge`.";
    PutIntoPipe, true, "`Exec::put_into_pipe`.";
    PutIntoMemory, true, "`Exec::put_into_memory`.";
    Watch, true, "`Exec::watch`.";
    Spawn, true, "`Exec::spawn`.";
    Execute, true, "`Exec::execute`.";
    Report, true, "`Exec::report`.";
    Keep, true, "`Exec::keep`.";
    Discard, true, "`Exec::discard`.";
    Kept, false, "`Exec::kept`.";
    Forget, true, "`Exec::forget`.";
    Kill, true, "`Exec::kill`.";
}

impl Kind {
    /// Whether a call of this kind moves bytes, so that it can be cut short or interrupted.
    pub fn is_transfer(self) -> bool {
        use Kind::{Discard, Keep, PutIntoMemory, PutIntoPipe};
        use Kind::{Read, ReadMark, ReadOld, ReadTable, ReadText, Write, WriteDraft, WriteMark};
        matches!(self, Read | Write | ReadTable | ReadText | ReadMark | WriteMark)
            || matches!(self, Discard | Keep | PutIntoMemory | PutIntoPipe | ReadOld | WriteDraft)
    }

    /// Whether a call of this kind takes a descriptor that is counted here.
    pub(crate) fn takes_descriptor(self) -> bool {
        matches!(self, Kind::Mounts | Kind::OpenMount | Kind::CreateMark | Kind::OpenMark)
    }
}
