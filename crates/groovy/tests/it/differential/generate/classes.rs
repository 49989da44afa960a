//! Classes: overloads chosen by the classes of arguments, defaults, inheritance, properties.

use super::Random;

const TYPES: &[&str] = &[
    "Object",
    "def",
    "String",
    "CharSequence",
    "Number",
    "Integer",
    "int",
    "long",
    "Long",
    "BigDecimal",
    "double",
    "List",
    "Collection",
    "Map",
    "Closure",
    "Comparable",
    "boolean",
    "Set",
    "Object[]",
    "Base",
    "Derived",
    "Shape",
];

const VALUES: &[&str] = &[
    "1",
    "2L",
    "1.5",
    "1.5d",
    "'s'",
    "[1]",
    "[a: 1]",
    "{ it }",
    "true",
    "new Base()",
    "new Derived()",
    "new Object()",
];

/// What fields are set to.
const FIELD_VALUES: &[&str] = &["1", "2L", "1.5", "'s'", "[1]", "[a: 1]", "true", "new Base()"];

/// A script, and the calls to be made in it.
pub fn script(random: &mut Random) -> (String, Vec<String>) {
    let mut out = String::from(
        "interface Shape { }\nclass Base { def n = 1; String toString() { 'base' } }\nclass Derived extends Base implements Shape { String toString() { 'derived' } }\n",
    );
    let mut pool: Vec<&str> = TYPES.to_vec();
    // There is always one that takes anything: what fits nowhere is worded by the Java virtual machine.
    pool.retain(|t| !matches!(*t, "def" | "Object" | "Object[]"));
    let mut methods = String::from("    def one(Object a) { 'Object' }\n");
    let count = 2 + random.below(4);
    for _ in 0..count {
        let ty = pool.remove(random.below(pool.len()));
        // `def` and `Object` are one signature.
        pool.retain(|t| !(matches!(ty, "def" | "Object") && matches!(*t, "def" | "Object")));
        methods += &format!("    def one({ty} a) {{ '{ty}' }}\n");
    }
    let (first, second) = (random.pick(TYPES), random.pick(TYPES));
    methods += &format!("    def two({first} a, {second} b = null) {{ \"two ${{a}} ${{b}}\".toString() }}\n");
    methods += "    def rest(String a, Object... more) { \"$a ${more.length}\".toString() }\n    def named(Map m, x = 'none') { \"$m $x\".toString() }\n";
    let field_type =
        random.pick(&["def", "int", "String", "long", "BigDecimal", "List", "double", "boolean", "Integer", "Object"]);
    out += &format!(
        "class Over {{\n    {field_type} field\n{methods}}}\nclass Under extends Over {{\n    def one(String a) {{ 'under ' + super.one(a) }}\n    def getExtra() {{ [field] }}\n}}\ndef o = new Over(), u = new Under()\n"
    );
    let mut probes = Vec::new();
    for _ in 0..6 {
        probes.push(format!("o.one({})", random.pick(VALUES)));
    }
    for _ in 0..2 {
        let value = random.pick(VALUES);
        probes.push(format!("u.one({value})"));
    }
    probes.push(format!("o.two({})", random.pick(FIELD_VALUES)));
    probes.push(format!("o.two({}, {})", random.pick(FIELD_VALUES), random.pick(FIELD_VALUES)));
    probes.push(format!("o.rest('r', {})", random.pick(VALUES)));
    probes.push(format!("o.named(k: {}, {})", random.pick(VALUES), random.pick(VALUES)));
    probes.push(format!("o.field = {}", random.pick(FIELD_VALUES)));
    probes.push("o.field".into());
    probes.push(format!("new Under(field: {}).extra", random.pick(FIELD_VALUES)));
    probes.push(format!("u.with {{ field = {}; extra }}", random.pick(FIELD_VALUES)));
    (out, probes)
}
