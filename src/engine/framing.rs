//! Cuts what a client writes on stderr into messages and lines of text.
//!
//! It is a sequence of JSON objects, one a line or over many lines as the version goes, with lines of text before,
//! between and behind. Bytes arrive in any pieces.

/// The longest message, in bytes; one that is longer is passed over.
pub const MAX_MESSAGE: usize = 8 << 20;

/// The longest line of text, in bytes; the rest of one that is longer is passed over.
pub const MAX_LINE: usize = 16 << 10;

/// A piece of what a client writes.
#[derive(Debug, PartialEq, Eq)]
pub enum Frame<'a> {
    /// The bytes from a brace to the one that closes it. Whether they are JSON is not known.
    Object(&'a [u8]),
    /// A line of text, without its end.
    Line(&'a [u8]),
    /// An object that was too long.
    TooLong,
}

/// Where in the input it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Place {
    /// Between objects and lines.
    #[default]
    Between,
    /// In a line of text.
    Line,
    /// In an object, so many braces and brackets deep.
    Object { depth: u32, string: bool, escaped: bool },
}

/// Cuts bytes into frames.
#[derive(Debug, Default)]
pub struct Framing {
    place: Place,
    held: Vec<u8>,
    /// Whether what is held is not the whole any more.
    cut: bool,
}

impl Framing {
    /// Takes more bytes; `found` gets each frame that is complete now.
    pub fn feed(&mut self, bytes: &[u8], mut found: impl FnMut(Frame<'_>)) {
        for &byte in bytes {
            match self.place {
                Place::Between if matches!(byte, b'\n' | b'\r') => self.begin(),
                // It belongs to the line, if one follows.
                Place::Between if byte.is_ascii_whitespace() => self.hold(byte, MAX_LINE),
                Place::Between if byte == b'{' => {
                    self.begin();
                    self.hold(byte, MAX_MESSAGE);
                    self.place = Place::Object { depth: 1, string: false, escaped: false };
                }
                Place::Between => {
                    self.hold(byte, MAX_LINE);
                    self.place = Place::Line;
                }
                Place::Line if byte == b'\n' => {
                    found(Frame::Line(&self.held));
                    self.begin();
                }
                Place::Line => self.hold(byte, MAX_LINE),
                Place::Object { depth, string, escaped } => {
                    self.hold(byte, MAX_MESSAGE);
                    let (depth, string, escaped) = match (string, byte) {
                        (true, _) if escaped => (depth, true, false),
                        (true, b'\\') => (depth, true, true),
                        (true, b'"') | (false, b'"') => (depth, !string, false),
                        (false, b'{' | b'[') => (depth.saturating_add(1), false, false),
                        (false, b'}' | b']') => (depth - 1, false, false),
                        _ => (depth, string, false),
                    };
                    self.place = Place::Object { depth, string, escaped };
                    if depth == 0 {
                        found(if self.cut { Frame::TooLong } else { Frame::Object(&self.held) });
                        self.begin();
                    }
                }
            }
        }
    }

    /// The input has ended: what is held is text.
    pub fn finish(&mut self, mut found: impl FnMut(Frame<'_>)) {
        let blank = |line: &&[u8]| line.iter().all(u8::is_ascii_whitespace);
        for line in self.held.split(|byte| *byte == b'\n').filter(|line| !blank(line)) {
            found(Frame::Line(line));
        }
        *self = Self::default();
    }

    fn hold(&mut self, byte: u8, most: usize) {
        if self.held.len() < most {
            self.held.push(byte);
        } else {
            self.cut = true;
        }
    }

    /// The next byte begins a frame.
    fn begin(&mut self) {
        self.place = Place::Between;
        self.cut = false;
        self.held.clear();
    }
}
