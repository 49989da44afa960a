//! Kinds of token, and how they are called in messages.

/// Declares the token kinds: those with a fixed text (keywords, then symbols) and those without.
macro_rules! tokens {
    (keywords { $($kw:ident $kw_text:literal)* } symbols { $($sym:ident $sym_text:literal)* } others { $($other:ident $name:literal)* }) => {
        /// The kind of a token. Named after what is written.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[repr(u8)]
        pub(crate) enum Kind { $($kw,)* $($sym,)* $($other,)* }

        impl Kind {
            /// The text of a keyword or symbol, or a name for the kind.
            pub(crate) fn text(self) -> &'static str {
                match self { $(Kind::$kw => $kw_text,)* $(Kind::$sym => $sym_text,)* $(Kind::$other => $name,)* }
            }

            /// The keyword that `word` is.
            pub(crate) fn keyword(word: &str) -> Option<Kind> {
                match word { $($kw_text => Some(Kind::$kw),)* _ => None }
            }

            /// Whether this is a reserved word.
            pub(crate) fn is_keyword(self) -> bool {
                (self as u8) < tokens!(@count $($kw)*)
            }
        }
    };
    (@count $($x:ident)*) => { 0u8 $(+ tokens!(@one $x))* };
    (@one $x:ident) => { 1u8 };
}

tokens! {
    keywords {
        Abstract "abstract" As "as" Assert "assert" Boolean "boolean" Break "break" Byte "byte" Case "case"
        Catch "catch" Char "char" Class "class" Const "const" Continue "continue" Def "def" Default "default"
        Do "do" Double "double" Else "else" Enum "enum" Extends "extends" False "false" Final "final"
        Finally "finally" Float "float" For "for" Goto "goto" If "if" Implements "implements" Import "import"
        In "in" Instanceof "instanceof" Int "int" Interface "interface" Long "long" Native "native" New "new"
        Null "null" Package "package" Private "private" Protected "protected" Public "public" Return "return"
        Short "short" Static "static" Strictfp "strictfp" Super "super" Switch "switch"
        Synchronized "synchronized" This "this" Threadsafe "threadsafe" Throw "throw" Throws "throws"
        Trait "trait" Transient "transient" True "true" Try "try" Void "void" Volatile "volatile" While "while"
    }
    symbols {
        LParen "(" RParen ")" LBracket "[" RBracket "]" LBrace "{" RBrace "}"
        Comma "," Semi ";" Colon ":" Question "?" At "@" Arrow "->"
        Dot "." SafeDot "?." SpreadDot "*." MethodRef ".&" RangeInclusive ".." RangeExclusive "..<" Ellipsis "..."
        Elvis "?:" Assign "=" Plus "+" PlusAssign "+=" Increment "++" Minus "-" MinusAssign "-=" Decrement "--"
        Star "*" StarAssign "*=" Power "**" PowerAssign "**=" Slash "/" SlashAssign "/=" Percent "%"
        PercentAssign "%=" Less "<" LessEq "<=" Greater ">" GreaterEq ">=" Compare "<=>" Equal "==" NotEqual "!="
        Identical "===" NotIdentical "!==" Find "=~" Match "==~" Not "!" Tilde "~" AndAnd "&&" OrOr "||" And "&"
        AndAssign "&=" Or "|" OrAssign "|=" Xor "^" XorAssign "^=" Shl "<<" ShlAssign "<<=" Shr ">>"
        ShrAssign ">>=" Ushr ">>>" UshrAssign ">>>="
    }
    others {
        Ident "a name" Number "a number" Str "a string" StrStart "a string" StrMiddle "the rest of a string"
        StrEnd "the end of a string" Newline "the end of the line" Eof "the end of the file" Error "a broken token"
    }
}

impl Kind {
    /// Whether an expression can end with this token; a `/` behind it divides, elsewhere it starts a string.
    pub(crate) fn ends_expression(self) -> bool {
        use Kind::*;
        match self {
            Abstract | Final | Strictfp | Const | Do | Goto => false,
            Ident | Number | Str | StrEnd | RParen | RBracket | RBrace | Increment | Decrement => true,
            _ => self.is_keyword(),
        }
    }

    /// `private`, `static` … (`def` is not among them).
    pub(crate) fn is_modifier(self) -> bool {
        use Kind::*;
        matches!(
            self,
            Private
                | Public
                | Protected
                | Static
                | Transient
                | Final
                | Abstract
                | Native
                | Threadsafe
                | Synchronized
                | Volatile
                | Strictfp
        )
    }

    /// `int`, `void` …
    pub(crate) fn is_builtin_type(self) -> bool {
        use Kind::*;
        matches!(self, Void | Boolean | Byte | Char | Short | Int | Float | Long | Double)
    }

    /// Whether this can stand behind a dot or before a colon as a name.
    pub(crate) fn is_name_like(self) -> bool {
        self == Kind::Ident || self.is_keyword()
    }
}

/// How a string is delimited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Quote {
    /// `'x'`
    Single,
    /// `'''x'''`
    TripleSingle,
    /// `"x"`
    Double,
    /// `"""x"""`
    TripleDouble,
    /// `/x/`
    Slashy,
    /// `$/x/$`
    DollarSlashy,
}

impl Quote {
    /// What opens it.
    pub(crate) fn opening(self) -> &'static str {
        match self {
            Quote::Single => "'",
            Quote::TripleSingle => "'''",
            Quote::Double => "\"",
            Quote::TripleDouble => "\"\"\"",
            Quote::Slashy => "/",
            Quote::DollarSlashy => "$/",
        }
    }

    /// What closes it.
    pub(crate) fn closing(self) -> &'static str {
        match self {
            Quote::DollarSlashy => "/$",
            other => other.opening(),
        }
    }

    /// Whether a line break ends the text with an error.
    pub(crate) fn is_single_line(self) -> bool {
        matches!(self, Quote::Single | Quote::Double)
    }

    /// Whether line breaks inside `${…}` are errors, too (Groovy counts slashy strings among the simple ones there).
    pub(crate) fn forbids_line_break_in_value(self) -> bool {
        matches!(self, Quote::Single | Quote::Double | Quote::Slashy)
    }

    fn from_bits(bits: u8) -> Quote {
        match bits & 7 {
            0 => Quote::Single,
            1 => Quote::TripleSingle,
            2 => Quote::Double,
            3 => Quote::TripleDouble,
            4 => Quote::Slashy,
            _ => Quote::DollarSlashy,
        }
    }
}

/// No partner: the bracket is not closed or not opened.
pub(crate) const NO_MATE: u32 = u32::MAX;

/// One token: 16 bytes, its text stays in the source.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Token {
    pub(crate) kind: Kind,
    flags: u8,
    /// First byte in the text that was lexed.
    pub(crate) start: u32,
    /// One past the last byte.
    pub(crate) end: u32,
    /// For a bracket, or the first and last part of a string with values: index of the other end, or [`NO_MATE`].
    pub(crate) mate: u32,
}

const ESCAPES: u8 = 8;
const ARROW: u8 = 16;

impl Token {
    pub(crate) fn new(kind: Kind, start: usize, end: usize) -> Token {
        Token { kind, flags: 0, start: start as u32, end: end as u32, mate: NO_MATE }
    }

    pub(crate) fn string(kind: Kind, start: usize, end: usize, quote: Quote, escapes: bool) -> Token {
        let flags = quote as u8 | if escapes { ESCAPES } else { 0 };
        Token { kind, flags, start: start as u32, end: end as u32, mate: NO_MATE }
    }

    /// How a string token is delimited.
    pub(crate) fn quote(self) -> Quote {
        Quote::from_bits(self.flags)
    }

    /// Whether the text of a string token differs from what it means.
    pub(crate) fn has_escapes(self) -> bool {
        self.flags & ESCAPES != 0
    }

    /// Whether a `{` has an arrow of its own: then it is a closure with written parameters.
    pub(crate) fn has_arrow(self) -> bool {
        self.flags & ARROW != 0
    }

    pub(crate) fn set_arrow(&mut self) {
        self.flags |= ARROW;
    }
}
