//! The archive's format: a header, one entry a line, and a trailer with counts and a digest.
//!
//! Lines are canonical: a line that this version would write differently is refused, so that no
//! unknown field is lost.

use std::io::{BufRead, Read, Write};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{Counts, Entry, TransferError};

/// Name of the format, in the header.
const FORMAT: &str = "asset-gateway store";
/// Version of the format that this build reads and writes.
pub const FORMAT_VERSION: u32 = 1;
/// Limit of a line, far above an event with all its attempts.
const MAX_LINE_BYTES: u64 = 16 * 1024 * 1024;
const TRAILER: &[u8] = br#"{"trailer":"#;

/// The first line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Header {
    format: String,
    version: u32,
    /// Random id of the export.
    pub export_id: String,
    /// Engine of the exported store.
    pub engine: String,
    /// Fingerprint of the pepper, salted with `export_id` so that archives cannot be linked; empty
    /// without a pepper. An importing gateway compares it with its own.
    pub pepper: String,
    /// Time of the export, Unix milliseconds.
    pub exported_at_ms: u64,
    /// Version of the gateway that wrote the archive.
    pub gateway: String,
}

impl Header {
    /// A header in the current format.
    pub fn new(
        export_id: String,
        engine: &str,
        pepper: String,
        gateway: &str,
        exported_at_ms: u64,
    ) -> Self {
        Self {
            format: FORMAT.to_owned(),
            version: FORMAT_VERSION,
            export_id,
            engine: engine.to_owned(),
            pepper,
            exported_at_ms,
            gateway: gateway.to_owned(),
        }
    }

    fn parse(line: &[u8]) -> Result<Self, TransferError> {
        #[derive(Deserialize)]
        struct Version {
            format: String,
            version: u32,
        }
        let none = || TransferError::archive(1, "this is not an archive of a store");
        let Version { format, version } = serde_json::from_slice(line).map_err(|_| none())?;
        if format != FORMAT {
            return Err(none());
        }
        if version != FORMAT_VERSION {
            let problem =
                format!("format version {version}: this gateway reads version {FORMAT_VERSION}");
            return Err(TransferError::archive(1, problem));
        }
        parse_canonical(1, line)
    }
}

/// The last line.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Trailer {
    counts: Counts,
    /// SHA-256 over all lines before this one, with their line ends.
    sha256: String,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct TrailerLine {
    trailer: Trailer,
}

/// Writes an archive.
pub struct Writer<W> {
    out: W,
    digest: Sha256,
    counts: Counts,
}

impl<W: Write> Writer<W> {
    pub fn new(out: W, header: &Header) -> Result<Self, TransferError> {
        let mut writer = Self {
            out,
            digest: Sha256::new(),
            counts: Counts::default(),
        };
        writer.line(header)?;
        Ok(writer)
    }

    pub fn entry(&mut self, entry: &Entry) -> Result<(), TransferError> {
        self.counts.add(entry);
        self.line(entry)
    }

    /// Writes the trailer.
    pub fn finish(mut self) -> Result<Counts, TransferError> {
        let trailer = Trailer {
            counts: self.counts,
            sha256: hex::encode(self.digest.clone().finalize()),
        };
        self.line(&TrailerLine { trailer })?;
        self.out.flush()?;
        Ok(self.counts)
    }

    fn line(&mut self, value: &impl Serialize) -> Result<(), TransferError> {
        let mut line = serde_json::to_vec(value).map_err(std::io::Error::other)?;
        line.push(b'\n');
        self.digest.update(&line);
        self.out.write_all(&line)?;
        Ok(())
    }
}

/// Reads an archive, line by line.
pub struct Reader<R> {
    from: R,
    number: u64,
    line: Vec<u8>,
    digest: Sha256,
    counts: Counts,
    /// The trailer's digest, once the trailer is verified.
    sha256: Option<String>,
}

impl<R: BufRead> Reader<R> {
    pub fn new(from: R) -> Result<(Header, Self), TransferError> {
        let mut reader = Self {
            from,
            number: 0,
            line: Vec::new(),
            digest: Sha256::new(),
            counts: Counts::default(),
            sha256: None,
        };
        if !reader.read_line()? {
            return Err(TransferError::archive(1, "the archive is empty"));
        }
        let header = Header::parse(&reader.line)?;
        reader.digest_line();
        Ok((header, reader))
    }

    /// The next entry; `None` after the trailer, which is verified.
    pub fn entry(&mut self) -> Result<Option<Entry>, TransferError> {
        if !self.read_line()? {
            let problem = "the archive is cut off: it ends without its trailer";
            return Err(TransferError::archive(self.number, problem));
        }
        if self.line.starts_with(TRAILER) {
            self.verify_trailer()?;
            return Ok(None);
        }
        let entry: Entry = parse_canonical(self.number, &self.line)?;
        self.counts.add(&entry);
        self.digest_line();
        Ok(Some(entry))
    }

    /// The trailer's digest; empty before the trailer is verified.
    pub fn sha256(&self) -> &str {
        self.sha256.as_deref().unwrap_or_default()
    }

    /// Verifies the trailer.
    fn verify_trailer(&mut self) -> Result<(), TransferError> {
        let TrailerLine { trailer } = parse_canonical(self.number, &self.line)?;
        let number = self.number;
        let wrong = |problem| Err(TransferError::archive(number, problem));
        if trailer.counts != self.counts {
            return wrong("the trailer's counts differ from the entries: the archive was edited");
        }
        if trailer.sha256 != hex::encode(self.digest.clone().finalize()) {
            return wrong(
                "the trailer's digest differs from that of the lines: the archive was edited",
            );
        }
        if self.read_line()? {
            return wrong("there are lines after the trailer");
        }
        self.sha256 = Some(trailer.sha256);
        Ok(())
    }

    /// Reads a line without its line end; `false` at the end of the file.
    fn read_line(&mut self) -> Result<bool, TransferError> {
        self.line.clear();
        self.number += 1;
        let mut from = self.from.by_ref().take(MAX_LINE_BYTES);
        if from.read_until(b'\n', &mut self.line)? == 0 {
            return Ok(false);
        }
        if self.line.pop() == Some(b'\n') {
            return Ok(true);
        }
        let problem = match self.line.len() as u64 >= MAX_LINE_BYTES - 1 {
            true => "the line is too long",
            false => "the archive is cut off: it ends within a line",
        };
        Err(TransferError::archive(self.number, problem))
    }

    fn digest_line(&mut self) {
        self.digest.update(&self.line);
        self.digest.update(b"\n");
    }
}

fn parse_canonical<T>(number: u64, line: &[u8]) -> Result<T, TransferError>
where
    T: Serialize + serde::de::DeserializeOwned,
{
    let value = serde_json::from_slice(line)
        .map_err(|error| TransferError::archive(number, format!("it cannot be read: {error}")))?;
    let again = serde_json::to_vec(&value).map_err(std::io::Error::other)?;
    match again == line {
        true => Ok(value),
        false => Err(TransferError::archive(
            number,
            "it holds fields that this version does not know, or was edited: use the version that wrote it",
        )),
    }
}

#[cfg(test)]
mod tests;
