//! Finds the end of a value that arrives in pieces, looking at every byte once.

/// Where the search stands between two pieces.
///
/// It checks nothing: when it has found the end, the parser reads the whole value. So a record
/// cut into many pieces costs two passes, never one pass for each piece.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Seek {
    /// Bytes already looked at.
    pub(super) looked_at: usize,
    depth: u32,
    in_string: bool,
    after_backslash: bool,
}

impl Seek {
    /// A search that has already passed `looked_at` bytes outside of any bracket or string.
    pub(super) fn after(looked_at: usize) -> Self {
        Self { looked_at, ..Self::default() }
    }

    /// Goes on from where it stood in `value`, which starts with the value and has grown since.
    /// True once the value is complete.
    pub(super) fn is_complete(&mut self, value: &[u8]) -> bool {
        while let Some(rest) = value.get(self.looked_at..).filter(|rest| !rest.is_empty()) {
            if self.in_string {
                if self.string(rest) && self.depth == 0 {
                    return true;
                }
            } else if self.between_strings(rest) {
                return true;
            }
        }
        false
    }

    /// Walks inside a string; true when it ended.
    fn string(&mut self, rest: &[u8]) -> bool {
        if self.after_backslash {
            self.after_backslash = false;
            self.looked_at += 1;
            return false;
        }
        match memchr::memchr2(b'"', b'\\', rest) {
            Some(at) => {
                self.looked_at += at + 1;
                self.after_backslash = rest.get(at) == Some(&b'\\');
                self.in_string = self.after_backslash;
                !self.in_string
            }
            None => {
                self.looked_at += rest.len();
                false
            }
        }
    }

    /// Walks up to the next string; true when the value ended.
    fn between_strings(&mut self, rest: &[u8]) -> bool {
        for byte in rest {
            self.looked_at += 1;
            match byte {
                b'"' => {
                    self.in_string = true;
                    return false;
                }
                b'{' | b'[' => self.depth += 1,
                b'}' | b']' => {
                    self.depth = self.depth.saturating_sub(1);
                    if self.depth == 0 {
                        return true;
                    }
                }
                // The end of a number or a word that stands by itself.
                b',' | b' ' | b'\t' | b'\n' | b'\r' if self.depth == 0 => return true,
                _ => {}
            }
        }
        false
    }
}
