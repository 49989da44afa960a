//! Control flow: nested loops with labels, `switch`, `try` with `finally`, early returns; each step leaves a trace.

use super::{Random, templates};

struct Block<'r> {
    random: &'r mut Random,
    step: u32,
    names: u32,
    /// Labels of the loops around, innermost last.
    loops: Vec<String>,
    /// How many of them stand outside of the innermost `try` with a `finally`: Groovy's compiler forgets the `finally` where a
    /// label is left from a loop inside.
    outside: usize,
    /// Whether `break` leaves a `switch`.
    in_switch: bool,
    budget: u32,
}

/// A script of one function that is called with several numbers.
pub fn script(random: &mut Random) -> String {
    let mut block = Block { random, step: 0, names: 0, loops: Vec::new(), outside: 0, in_switch: false, budget: 30 };
    let body = block.statements(4, 1);
    format!(
        "def f(n, out) {{\n{body}    'end'\n}}\n(0..4).collect {{ n ->\n    def out = []\n    def r\n    try {{ r = f(n, out) }} catch (Throwable t) {{ r = t.toString() }}\n    [r, out.join(' ')]\n}}\n"
    )
}

impl Block<'_> {
    fn trace(&mut self) -> String {
        self.step += 1;
        format!("out << {}", self.step)
    }

    fn name(&mut self, prefix: &str) -> String {
        self.names += 1;
        format!("{prefix}{}", self.names)
    }

    fn condition(&mut self) -> String {
        match self.random.below(5) {
            0 => format!("n == {}", self.random.below(5)),
            1 => format!("n > {}", self.random.below(4)),
            2 => format!("out.size() > {}", self.random.below(12)),
            3 => format!("n % {} == 0", 2 + self.random.below(2)),
            _ => templates::expand(self.random, "b", 1)
                .replace("nil", "null")
                .replace("nums", "[n]")
                .replace("words", "['w']")
                .replace("conf", "[n: n]")
                .replace("txt", "'t'")
                .replace("gs", "\"g$n\"")
                .replace("dbl", "1d")
                .replace("dec", "2.5")
                .replace("big", "7L")
                .replace("(i", "(n")
                .replace("(j", "(n"),
        }
    }

    fn statements(&mut self, most: usize, depth: usize) -> String {
        let count = 1 + self.random.below(most);
        (0..count).map(|_| self.statement(depth)).collect()
    }

    fn statement(&mut self, depth: usize) -> String {
        let pad = "    ".repeat(depth);
        if self.budget == 0 || depth > 5 {
            return format!("{pad}{}\n", self.trace());
        }
        self.budget -= 1;
        match self.random.below(12) {
            0 | 1 => format!("{pad}{}\n", self.trace()),
            2 | 3 => {
                let (cond, then) = (self.plain_condition(), self.statements(2, depth + 1));
                let otherwise = if self.random.one_in(2) {
                    format!(" else {{\n{}{pad}}}", self.statements(2, depth + 1))
                } else {
                    String::new()
                };
                format!("{pad}if ({cond}) {{\n{then}{pad}}}{otherwise}\n")
            }
            4..=6 => self.looping(depth, &pad),
            7 => self.switching(depth, &pad),
            8 | 9 => self.trying(depth, &pad),
            10 => self.leaving(&pad),
            _ => {
                let trace = self.trace();
                format!("{pad}[n, 7].each {{ if (it == 7) return; {trace} }}\n")
            }
        }
    }

    fn plain_condition(&mut self) -> String {
        let condition = self.condition();
        // Names of the expressions' preamble that are left would only ever throw.
        let known = |c: &str| !c.split(|x: char| !x.is_alphanumeric()).any(|w| matches!(w, "i" | "j"));
        if known(&condition) { condition } else { "n < 3".into() }
    }

    fn looping(&mut self, depth: usize, pad: &str) -> String {
        let (label, v) = (self.name("loop"), self.name("v"));
        let head = match self.random.below(5) {
            0 => format!("for ({v} in 0..2)"),
            1 => format!("for (int {v} = 0; {v} < 3; {v}++)"),
            2 => format!("for (def {v} : ['x', n])"),
            3 => format!("for ({v} in [a: n, b: 2])"),
            _ => format!("int {v} = 0\n{pad}{label}: while ({v}++ < 2)"),
        };
        let labelled = if head.contains(&label) { head } else { format!("{label}: {head}") };
        let before = std::mem::replace(&mut self.in_switch, false);
        self.loops.push(label);
        let body = self.statements(3, depth + 1);
        self.loops.pop();
        self.in_switch = before;
        format!("{pad}{labelled} {{\n{body}{pad}}}\n")
    }

    fn switching(&mut self, depth: usize, pad: &str) -> String {
        let subject =
            self.random.pick(&["n", "n * 2", "\"$n\"", "[n]", "n as long", "n > 2", "null", "'a' + n", "n / 2"]);
        let tests = [
            "0",
            "1",
            "2..3",
            "[1, 3]",
            "'a1'",
            "~/a\\d/",
            "Integer",
            "String",
            "{ it == 4 }",
            "null",
            "true",
            "[n]",
            "1.5",
            "CharSequence",
            "Number",
        ];
        let before = std::mem::replace(&mut self.in_switch, true);
        let mut cases = String::new();
        for _ in 0..1 + self.random.below(4) {
            let test = self.random.pick(&tests);
            let body = self.statements(2, depth + 2);
            let end = if self.random.one_in(2) { format!("{pad}        break\n") } else { String::new() };
            cases += &format!("{pad}    case {test}:\n{body}{end}");
        }
        if self.random.one_in(2) {
            cases += &format!("{pad}    default:\n{}", self.statements(2, depth + 2));
        }
        self.in_switch = before;
        format!("{pad}switch ({subject}) {{\n{cases}{pad}}}\n")
    }

    fn trying(&mut self, depth: usize, pad: &str) -> String {
        let caught = self.random.below(3);
        let finally = caught == 0 || self.random.one_in(2);
        let outside = self.outside;
        if finally {
            self.outside = self.loops.len();
        }
        let body = self.statements(3, depth + 1);
        let mut out = format!("{pad}try {{\n{body}{pad}}}");
        if caught > 0 {
            let classes =
                ["Exception ", "RuntimeException ", "", "IllegalStateException | ArithmeticException ", "Throwable "];
            let (class, name) = (self.random.pick(&classes), self.name("e"));
            let body = self.statements(2, depth + 1);
            out += &format!(" catch ({class}{name}) {{\n{pad}    out << {name}.class.simpleName\n{body}{pad}}}");
        }
        self.outside = outside;
        if finally {
            let body = self.statements(2, depth + 1);
            out += &format!(" finally {{\n{body}{pad}}}");
        }
        out + "\n"
    }

    /// Leaves something, under a condition so that what follows is not unreachable.
    fn leaving(&mut self, pad: &str) -> String {
        let how = match (self.random.below(6), self.loops.last().cloned()) {
            (0, _) => format!("return 'r{}'", self.step),
            (1, _) => "throw new IllegalStateException('s')".to_string(),
            (2, _) => "throw new Exception('e')".to_string(),
            (3, Some(_)) => "break".to_string(),
            (4, Some(_)) => "continue".to_string(),
            (5, Some(_)) if self.outside < self.loops.len() => {
                let at = self.outside + self.random.below(self.loops.len() - self.outside);
                let word = self.random.pick(&["break", "continue"]);
                format!("{word} {}", self.loops[at])
            }
            (3, None) if self.in_switch => "break".to_string(),
            _ => "1 / 0".to_string(),
        };
        format!("{pad}if ({}) {how}\n", self.plain_condition())
    }
}
