//! Tar archives with every lie that one can write into them.

/// An archive under construction.
#[derive(Default, Clone)]
pub struct Archive {
    bytes: Vec<u8>,
}

/// A header, with fields to falsify.
#[derive(Clone)]
pub struct Head {
    pub name: Vec<u8>,
    pub kind: u8,
    pub link: Vec<u8>,
    pub mode: Vec<u8>,
    pub uid: Vec<u8>,
    pub gid: Vec<u8>,
    pub size: Vec<u8>,
    pub mtime: Vec<u8>,
    pub magic: Vec<u8>,
    pub tail: Vec<u8>,
}

impl Head {
    pub fn new(kind: u8, name: &str) -> Head {
        Head {
            name: name.into(),
            kind,
            link: vec![],
            mode: if kind == b'5' { b"0000755".into() } else { b"0000644".into() },
            uid: b"0000000".into(),
            gid: b"0000000".into(),
            size: b"00000000000".into(),
            mtime: b"00000000007".into(),
            magic: b"ustar\x0000".into(),
            tail: vec![],
        }
    }

    pub fn encode(&self) -> [u8; 512] {
        let mut block = [0; 512];
        let mut put = |at: usize, most: usize, bytes: &[u8]| {
            assert!(bytes.len() <= most);
            block[at..at + bytes.len()].copy_from_slice(bytes);
        };
        put(0, 100, &self.name);
        put(100, 8, &self.mode);
        put(108, 8, &self.uid);
        put(116, 8, &self.gid);
        put(124, 12, &self.size);
        put(136, 12, &self.mtime);
        put(148, 8, b"        ");
        put(156, 1, &[self.kind]);
        put(157, 100, &self.link);
        put(257, 8, &self.magic);
        put(345, 167, &self.tail);
        let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
        block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        block
    }
}

impl Archive {
    pub fn new() -> Archive {
        Archive::default()
    }

    pub fn raw(mut self, bytes: &[u8]) -> Archive {
        self.bytes.extend(bytes);
        self
    }

    /// A header as it is, and data with its padding.
    pub fn head(mut self, head: &Head, data: &[u8]) -> Archive {
        self.bytes.extend(head.encode());
        self.bytes.extend(data);
        self.bytes.resize(self.bytes.len().next_multiple_of(512), 0);
        self
    }

    pub fn entry(self, kind: u8, name: &str, link: &str, data: &[u8]) -> Archive {
        let mut head = Head::new(kind, name);
        head.link = link.into();
        head.size = format!("{:011o}", data.len()).into();
        self.head(&head, data)
    }

    pub fn file(self, name: &str, data: &str) -> Archive {
        self.entry(b'0', name, "", data.as_bytes())
    }

    pub fn dir(self, name: &str) -> Archive {
        self.entry(b'5', name, "", b"")
    }

    pub fn symlink(self, name: &str, target: &str) -> Archive {
        self.entry(b'2', name, target, b"")
    }

    pub fn hardlink(self, name: &str, target: &str) -> Archive {
        self.entry(b'1', name, target, b"")
    }

    /// PAX records for the next entry.
    pub fn pax(self, records: &[(&str, &[u8])]) -> Archive {
        let mut data = vec![];
        for (key, value) in records {
            let body = [b" ", key.as_bytes(), b"=", value, b"\n"].concat();
            let length = (1..).find(|n: &usize| *n == n.to_string().len() + body.len()).unwrap();
            data.extend(length.to_string().into_bytes());
            data.extend(body);
        }
        self.entry(b'x', "pax", "", &data)
    }

    /// The archive with its end mark.
    pub fn end(self) -> Vec<u8> {
        self.raw(&[0; 1024]).bytes
    }

    /// The archive as it is.
    pub fn bytes(self) -> Vec<u8> {
        self.bytes
    }
}
