//! Recordings of the agent side, tapped after the mask: left what the agent heard, right what the agent said.
//!
//! One thread writes all files. When it cannot keep up, frames are lost, never calls. The header is brought up to date
//! every second, so that a file is playable whatever happens.

use crate::clock;
use media::RecordFrame;
use media::wav::WavHeader;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufWriter, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;
use wire::CallId;

/// Frames that may wait for the disk: about four seconds of 400 calls.
const QUEUE_MAX: usize = 80_000;
/// Frames between two updates of the header: one second.
const HEADER_EVERY: u32 = 50;
const SAMPLES_PER_SECOND: u32 = 8000;
const SAMPLES_PER_FRAME: u32 = 160;

enum Entry {
    Begin(CallId),
    Frame(CallId, Box<RecordFrame>),
    End(CallId),
}

/// The recorder's handle; without a folder it does nothing.
#[derive(Clone)]
pub(crate) struct Recorder(Option<SyncSender<Entry>>);

impl Recorder {
    /// Starts the writer.
    pub(crate) fn start(folder: Option<PathBuf>) -> std::io::Result<Self> {
        let Some(folder) = folder else { return Ok(Self(None)) };
        std::fs::create_dir_all(&folder)?;
        let (sender, entries) = sync_channel(QUEUE_MAX);
        thread::Builder::new().name("recorder".to_owned()).spawn(move || write(&folder, &entries))?;
        Ok(Self(Some(sender)))
    }

    /// Is anything recorded?
    pub(crate) fn records(&self) -> bool {
        self.0.is_some()
    }

    pub(crate) fn begin(&self, call: CallId) {
        self.put(Entry::Begin(call));
    }

    pub(crate) fn frame(&self, call: CallId, frame: RecordFrame) {
        self.put(Entry::Frame(call, Box::new(frame)));
    }

    pub(crate) fn end(&self, call: CallId) {
        self.put(Entry::End(call));
    }

    fn put(&self, entry: Entry) {
        if let Some(sender) = &self.0 {
            // A full queue loses the frame: the call matters more than its recording.
            let _ = sender.try_send(entry);
        }
    }
}

fn write(folder: &Path, entries: &Receiver<Entry>) {
    let mut open: BTreeMap<CallId, Recording> = BTreeMap::new();
    while let Ok(entry) = entries.recv() {
        let done = match entry {
            Entry::Begin(call) => Recording::create(folder, call).map(|recording| {
                open.insert(call, recording);
            }),
            Entry::Frame(call, frame) => open.get_mut(&call).map_or(Ok(()), |recording| recording.append(&frame)),
            Entry::End(call) => open.remove(&call).map_or(Ok(()), |mut recording| recording.update_header()),
        };
        if let Err(error) = done {
            tracing::error!(%error, "a recording could not be written");
        }
    }
}

struct Recording {
    file: BufWriter<File>,
    frames: u32,
}

impl Recording {
    fn create(folder: &Path, call: CallId) -> std::io::Result<Self> {
        // The time first, so that a listing is in order.
        let name = format!("{}-{call}.wav", clock::unix_ms());
        let mut file = BufWriter::new(File::create_new(folder.join(name))?);
        file.write_all(&header(0))?;
        Ok(Self { file, frames: 0 })
    }

    fn append(&mut self, frame: &RecordFrame) -> std::io::Result<()> {
        for (heard, said) in frame.heard.iter().zip(&frame.said) {
            self.file.write_all(&heard.to_le_bytes())?;
            self.file.write_all(&said.to_le_bytes())?;
        }
        self.frames += 1;
        if self.frames.is_multiple_of(HEADER_EVERY) { self.update_header() } else { Ok(()) }
    }

    fn update_header(&mut self) -> std::io::Result<()> {
        self.file.seek(SeekFrom::Start(0))?;
        self.file.write_all(&header(self.frames.saturating_mul(SAMPLES_PER_FRAME)))?;
        self.file.seek(SeekFrom::End(0))?;
        self.file.flush()
    }
}

fn header(samples: u32) -> Vec<u8> {
    WavHeader { channels: 2, samples_per_second: SAMPLES_PER_SECOND, samples_per_channel: samples }.bytes().to_vec()
}
