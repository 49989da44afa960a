//! Classes of Java and Groovy that are written in Groovy: those that call closures (`Optional.map`), and small ones. Each
//! is compiled when it is first named; a machine that needs none pays for none.

use std::rc::Rc;

use super::ScriptId;
use super::world::World;
use crate::ast;
use crate::compile::{Mode, compile_script};
use crate::value::Class;

macro_rules! shim {
    ($file:literal) => {
        include_str!(concat!("../library/shims/", $file, ".groovy"))
    };
}

/// Full name → its text: one class, called by its simple name.
const SHIMS: &[(&str, &str)] = &[
    ("groovy.json.JsonBuilder", shim!("json_builder")),
    ("groovy.json.JsonDelegate", shim!("json_delegate")),
    ("groovy.json.StreamingJsonBuilder", shim!("streaming_json_builder")),
    ("groovy.json.StreamingJsonDelegate", shim!("streaming_json_delegate")),
    ("groovy.text.GStringTemplateEngine", shim!("template_gstring")),
    ("groovy.text.Made", shim!("template_made")),
    ("groovy.text.SimpleTemplateEngine", shim!("template_simple")),
    ("groovy.text.StreamingTemplateEngine", shim!("template_streaming")),
    ("groovy.text.Template", shim!("template")),
    ("groovy.time.BaseDuration", shim!("base_duration")),
    ("groovy.time.DatumDependentDuration", shim!("datum_dependent_duration")),
    ("groovy.time.Duration", shim!("duration")),
    ("groovy.time.From", shim!("time_from")),
    ("groovy.time.TimeCategory", shim!("time_category")),
    ("groovy.time.TimeDatumDependentDuration", shim!("time_datum_dependent_duration")),
    ("groovy.time.TimeDuration", shim!("time_duration")),
    ("groovy.util.BuilderSupport", shim!("builder_support")),
    ("groovy.util.ConfigObject", shim!("config_object")),
    ("groovy.util.ConfigReader", shim!("config_reader")),
    ("groovy.util.ConfigSlurper", shim!("config_slurper")),
    ("groovy.util.Expando", shim!("expando")),
    ("groovy.util.GroovyCollections", shim!("groovy_collections")),
    ("groovy.util.IndentPrinter", shim!("indent_printer")),
    ("groovy.util.Node", shim!("node")),
    ("groovy.util.NodeBuilder", shim!("node_builder")),
    ("groovy.util.NodePrinter", shim!("node_printer")),
    ("groovy.util.OrderBy", shim!("order_by")),
    ("groovy.util.XmlNodePrinter", shim!("xml_node_printer")),
    ("groovy.util.XmlParser", shim!("xml_parser")),
    ("groovy.util.XmlSlurper", shim!("xml_slurper")),
    ("groovy.util.slurpersupport.Attribute", shim!("attribute")),
    ("groovy.util.slurpersupport.Attributes", shim!("attributes")),
    ("groovy.util.slurpersupport.FilteredAttributes", shim!("filtered_attributes")),
    ("groovy.util.slurpersupport.FilteredNodeChildren", shim!("filtered_node_children")),
    ("groovy.util.slurpersupport.GPathResult", shim!("gpath_result")),
    ("groovy.util.slurpersupport.NoChildren", shim!("no_children")),
    ("groovy.util.slurpersupport.Node", shim!("slurped_node")),
    ("groovy.util.slurpersupport.NodeChild", shim!("node_child")),
    ("groovy.util.slurpersupport.NodeChildren", shim!("node_children")),
    ("groovy.util.slurpersupport.NodeParents", shim!("node_parents")),
    ("groovy.xml.BoundMarkup", shim!("bound_markup")),
    ("groovy.xml.MarkupBuilder", shim!("markup_builder")),
    ("groovy.xml.MarkupBuilderHelper", shim!("markup_builder_helper")),
    ("groovy.xml.MarkupDocument", shim!("markup_document")),
    ("groovy.xml.MarkupDocumentHelper", shim!("markup_document_helper")),
    ("groovy.xml.MarkupPrefix", shim!("markup_prefix")),
    ("groovy.xml.Namespace", shim!("namespace")),
    ("groovy.xml.QName", shim!("qname")),
    ("groovy.xml.StreamingMarkupBuilder", shim!("streaming_markup_builder")),
    ("groovy.xml.XmlUtil", shim!("xml_util")),
    ("java.io.BufferedReader", shim!("buffered_reader")),
    ("java.io.ByteArrayInputStream", shim!("byte_array_input_stream")),
    ("java.io.ByteArrayOutputStream", shim!("byte_array_output_stream")),
    ("java.io.InputStreamReader", shim!("input_stream_reader")),
    ("java.io.StringReader", shim!("string_reader")),
    ("java.lang.Iterable$Made", shim!("made_iterable")),
    ("java.math.MathContext", shim!("math_context")),
    ("java.math.RoundingMode", shim!("rounding_mode")),
    ("java.time.DayOfWeek", shim!("day_of_week")),
    ("java.time.Month", shim!("month")),
    ("java.time.format.TextStyle", shim!("text_style")),
    ("java.time.temporal.ChronoUnit", shim!("chrono_unit")),
    ("java.time.temporal.TemporalAdjusters", shim!("temporal_adjusters")),
    ("java.util.BitSet", shim!("bit_set")),
    ("java.util.Comparators$Made", shim!("comparator")),
    ("java.util.Iterator$Made", shim!("made_iterator")),
    ("java.util.ListIterator", shim!("list_iterator")),
    ("java.util.Locale", shim!("locale")),
    ("java.util.Optional", shim!("optional")),
    ("java.util.PriorityQueue", shim!("priority_queue")),
    ("java.util.Properties", shim!("properties")),
    ("java.util.Scanner", shim!("scanner")),
    ("java.util.StringJoiner", shim!("string_joiner")),
    ("java.util.StringTokenizer", shim!("string_tokenizer")),
    ("java.util.concurrent.TimeUnit", shim!("time_unit")),
    ("java.util.concurrent.atomic.AtomicBoolean", shim!("atomic_boolean")),
    ("java.util.concurrent.atomic.AtomicInteger", shim!("atomic_integer")),
    ("java.util.concurrent.atomic.AtomicLong", shim!("atomic_long")),
    ("java.util.concurrent.atomic.AtomicReference", shim!("atomic_reference")),
    ("java.util.logging.Level", shim!("log_level")),
    ("java.util.logging.Logger", shim!("logger")),
    ("java.util.stream.Collector", shim!("collector")),
    ("java.util.stream.Collectors", shim!("collectors")),
    ("java.util.stream.Stream", shim!("stream")),
    ("org.apache.commons.csv.CSVFormat", shim!("csv_format")),
    ("org.apache.maven.model.Dependency", shim!("maven_dependency")),
    ("org.apache.maven.model.Model", shim!("maven_model")),
    ("org.apache.maven.model.Parent", shim!("maven_parent")),
];

/// Other names of the same classes.
const ALIASES: &[(&str, &str)] = &[
    ("java.util.OptionalInt", "java.util.Optional"),
    ("java.util.stream.IntStream", "java.util.stream.Stream"),
    ("java.util.stream.LongStream", "java.util.stream.Stream"),
];

/// What a machine compiles for a class, for the price of one instruction.
const BYTES_AT_ONCE: usize = 16;

/// Whether a class of that full name is written in Groovy.
pub(crate) fn is_shim(name: &str) -> bool {
    shim_names().any(|n| n == name)
}

/// Full names of the classes that are written in Groovy.
pub(crate) fn shim_names() -> impl Iterator<Item = &'static str> {
    SHIMS.iter().map(|(n, _)| *n).chain(ALIASES.iter().map(|(n, _)| *n))
}

impl World {
    /// The class of that full name, where it is written in Groovy.
    pub(super) fn shim(&self, name: &str) -> Option<Rc<Class>> {
        if let Some((_, full)) = ALIASES.iter().find(|(n, _)| *n == name) {
            return self.class(full);
        }
        let (full, source) = SHIMS.iter().find(|(n, _)| *n == name)?;
        let script = parsed(full, source);
        let (program, _) = compile_script(&script, ScriptId::default(), full, &Rc::default(), Mode::Library).ok()?;
        let mut made = None;
        for plan in program.classes {
            let class = self.link_plan(plan, ScriptId::default());
            made = made.or(Some(class).filter(|c| *c.name == **full));
        }
        self.shim_work.set(self.shim_work.get() + source.len() / BYTES_AT_ONCE);
        made
    }
}

/// The text as a tree in which the class has its full name.
fn parsed(full: &str, source: &str) -> ast::Script {
    let mut script = crate::parser::parse(source).script;
    for class in &mut script.classes {
        let class = Rc::make_mut(class);
        let simple = std::mem::replace(&mut class.name, full.into());
        for method in &mut class.methods {
            if method.name == simple && method.return_type.is_none() {
                Rc::make_mut(method).name = full.into();
            }
        }
    }
    script
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::MachineLimits;

    #[test]
    fn every_class_that_is_written_in_groovy_compiles() {
        assert!(SHIMS.is_sorted_by_key(|(name, _)| *name));
        let world = World::new(MachineLimits::default());
        for (name, source) in SHIMS {
            let script = parsed(name, source);
            let compiled = compile_script(&script, ScriptId::default(), name, &Rc::default(), Mode::Library);
            assert!(compiled.is_ok(), "{name}: {:?}", compiled.err());
            assert!(world.class(name).is_some_and(|c| c.script.is_some()), "{name}");
        }
    }
}
