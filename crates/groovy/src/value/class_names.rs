//! The names of Java and Groovy classes that scripts mention, and what each one is a kind of.

/// Full name and parents (nearest first; interfaces too). `java.lang.Object` is everyone's.
const KNOWN: &[(&str, &[&str])] = &[
    ("java.lang.Object", &[]),
    ("java.lang.String", &["java.lang.CharSequence", "java.lang.Comparable", "java.io.Serializable"]),
    ("java.lang.CharSequence", &[]),
    ("java.lang.Comparable", &[]),
    ("java.lang.Cloneable", &[]),
    ("java.lang.Runnable", &[]),
    ("java.lang.Iterable", &[]),
    ("java.io.Serializable", &[]),
    ("java.lang.Number", &["java.io.Serializable"]),
    ("java.lang.Boolean", &["java.lang.Comparable", "java.io.Serializable"]),
    ("java.lang.Character", &["java.lang.Comparable", "java.io.Serializable"]),
    ("java.lang.Byte", &["java.lang.Number", "java.lang.Comparable"]),
    ("java.lang.Short", &["java.lang.Number", "java.lang.Comparable"]),
    ("java.lang.Integer", &["java.lang.Number", "java.lang.Comparable"]),
    ("java.lang.Long", &["java.lang.Number", "java.lang.Comparable"]),
    ("java.lang.Float", &["java.lang.Number", "java.lang.Comparable"]),
    ("java.lang.Double", &["java.lang.Number", "java.lang.Comparable"]),
    ("java.math.BigInteger", &["java.lang.Number", "java.lang.Comparable"]),
    ("java.math.BigDecimal", &["java.lang.Number", "java.lang.Comparable"]),
    ("java.lang.Math", &[]),
    ("java.lang.System", &[]),
    ("java.lang.Thread", &[]),
    ("java.lang.Class", &["java.io.Serializable"]),
    ("java.lang.Enum", &["java.lang.Comparable", "java.io.Serializable"]),
    ("java.lang.StringBuilder", &["java.lang.CharSequence", "java.lang.Appendable"]),
    ("java.lang.StringBuffer", &["java.lang.CharSequence", "java.lang.Appendable"]),
    ("java.lang.Appendable", &[]),
    ("java.io.StringWriter", &["java.io.Writer"]),
    ("java.io.Writer", &["java.lang.Appendable"]),
    (
        "groovy.lang.GString",
        &["java.lang.CharSequence", "java.lang.Comparable", "java.io.Serializable", "groovy.lang.GroovyObject"],
    ),
    ("org.codehaus.groovy.runtime.GStringImpl", &["groovy.lang.GString"]),
    ("groovy.lang.GroovyObject", &[]),
    ("groovy.lang.Script", &["groovy.lang.GroovyObject"]),
    ("groovy.lang.Binding", &["groovy.lang.GroovyObject"]),
    (
        "groovy.lang.Closure",
        &[
            "java.lang.Runnable",
            "java.util.concurrent.Callable",
            "java.lang.Cloneable",
            "java.io.Serializable",
            "groovy.lang.GroovyObject",
        ],
    ),
    ("org.codehaus.groovy.runtime.MethodClosure", &["groovy.lang.Closure"]),
    ("org.codehaus.groovy.runtime.CurriedClosure", &["groovy.lang.Closure"]),
    ("org.codehaus.groovy.runtime.ComposedClosure", &["groovy.lang.Closure"]),
    ("java.util.Collection", &["java.lang.Iterable"]),
    ("java.util.List", &["java.util.Collection"]),
    ("java.util.Set", &["java.util.Collection"]),
    ("java.util.SortedSet", &["java.util.Set"]),
    ("java.util.NavigableSet", &["java.util.SortedSet"]),
    ("java.util.AbstractCollection", &["java.util.Collection"]),
    ("java.util.AbstractSet", &["java.util.AbstractCollection", "java.util.Set"]),
    ("java.util.Queue", &["java.util.Collection"]),
    ("java.util.Deque", &["java.util.Queue"]),
    ("java.util.AbstractList", &["java.util.AbstractCollection", "java.util.List"]),
    (
        "java.util.ArrayList",
        &["java.util.AbstractList", "java.util.RandomAccess", "java.lang.Cloneable", "java.io.Serializable"],
    ),
    ("java.util.RandomAccess", &[]),
    ("java.util.LinkedList", &["java.util.AbstractList", "java.util.Deque", "java.io.Serializable"]),
    ("java.util.ArrayDeque", &["java.util.Deque"]),
    ("java.util.Stack", &["java.util.Vector"]),
    ("java.util.Vector", &["java.util.AbstractList"]),
    ("java.util.Collections$UnmodifiableRandomAccessList", &["java.util.List", "java.io.Serializable"]),
    ("java.util.HashSet", &["java.util.AbstractSet", "java.util.Set", "java.lang.Cloneable", "java.io.Serializable"]),
    ("java.util.LinkedHashSet", &["java.util.HashSet"]),
    ("java.util.TreeSet", &["java.util.AbstractSet", "java.util.NavigableSet", "java.io.Serializable"]),
    ("java.util.Collections$UnmodifiableSet", &["java.util.Set"]),
    ("java.util.Map", &[]),
    ("java.util.Map$Entry", &[]),
    ("java.util.HashMap$Values", &["java.util.Collection"]),
    ("java.util.LinkedHashMap$LinkedValues", &["java.util.Collection"]),
    ("java.util.TreeMap$Values", &["java.util.Collection"]),
    ("java.util.LinkedHashMap$Entry", &["java.util.Map$Entry"]),
    ("java.util.SortedMap", &["java.util.Map"]),
    ("java.util.NavigableMap", &["java.util.SortedMap"]),
    ("java.util.HashMap", &["java.util.AbstractMap", "java.util.Map", "java.lang.Cloneable", "java.io.Serializable"]),
    ("java.util.AbstractMap", &["java.util.Map"]),
    ("java.util.LinkedHashMap", &["java.util.HashMap"]),
    ("java.util.TreeMap", &["java.util.NavigableMap", "java.util.AbstractMap", "java.io.Serializable"]),
    ("java.util.concurrent.ConcurrentHashMap", &["java.util.AbstractMap", "java.util.concurrent.ConcurrentMap"]),
    ("java.util.concurrent.ConcurrentMap", &["java.util.Map"]),
    ("java.util.Collections$UnmodifiableMap", &["java.util.Map"]),
    ("java.util.Hashtable", &["java.util.Map"]),
    ("java.util.Properties", &["java.util.Hashtable"]),
    ("java.util.Collections", &[]),
    ("java.util.Arrays", &[]),
    ("java.util.Objects", &[]),
    ("java.util.UUID", &["java.lang.Comparable", "java.io.Serializable"]),
    ("java.util.Date", &["java.lang.Comparable"]),
    ("java.util.Random", &[]),
    ("java.util.Locale", &[]),
    ("java.util.Base64", &[]),
    ("java.util.Iterator", &[]),
    ("java.util.Comparator", &[]),
    ("groovy.lang.Range", &["java.util.List"]),
    ("groovy.lang.IntRange", &["java.util.AbstractList", "groovy.lang.Range"]),
    ("groovy.lang.ObjectRange", &["java.util.AbstractList", "groovy.lang.Range"]),
    ("groovy.lang.EmptyRange", &["java.util.AbstractList", "groovy.lang.Range"]),
    ("java.util.regex.Pattern", &["java.io.Serializable"]),
    ("java.util.regex.Matcher", &["java.util.regex.MatchResult"]),
    ("java.util.regex.MatchResult", &[]),
    ("groovy.util.NodeList", &["java.util.ArrayList"]),
    ("groovy.json.JsonOutput", &[]),
    ("groovy.json.internal.LazyMap", &["java.util.AbstractMap", "java.util.Map"]),
    ("groovy.json.JsonSlurper", &[]),
    ("groovy.json.JsonSlurperClassic", &[]),
    ("groovy.json.JsonBuilder", &[]),
    ("net.sf.json.JSON", &[]),
    ("net.sf.json.JSONObject", &["net.sf.json.JSON", "java.util.Map", "java.lang.Comparable"]),
    ("net.sf.json.JSONArray", &["net.sf.json.JSON", "java.util.List", "java.lang.Comparable"]),
    ("net.sf.json.JSONNull", &["net.sf.json.JSON"]),
    ("net.sf.json.JSONSerializer", &[]),
    ("net.sf.json.JSONException", &["java.lang.RuntimeException"]),
    ("java.io.File", &[]),
    ("java.net.URL", &[]),
    ("java.net.URI", &[]),
    ("java.net.URLEncoder", &[]),
    ("java.net.URLDecoder", &[]),
    ("java.nio.charset.StandardCharsets", &[]),
    ("java.text.SimpleDateFormat", &["java.text.DateFormat"]),
    ("groovy.lang.Tuple", &["java.util.AbstractList"]),
    ("groovy.lang.Tuple2", &["groovy.lang.Tuple"]),
    ("groovy.util.MapEntry", &["java.util.Map$Entry"]),
    ("java.util.AbstractMap$SimpleEntry", &["java.util.Map$Entry"]),
    ("java.util.AbstractMap$SimpleImmutableEntry", &["java.util.Map$Entry"]),
    ("java.io.OutputStream", &["java.io.Closeable"]),
    ("java.io.InputStream", &["java.io.Closeable"]),
    ("java.io.Closeable", &["java.lang.AutoCloseable"]),
    ("java.lang.AutoCloseable", &[]),
    ("java.io.Reader", &["java.io.Closeable"]),
    ("java.io.OutputStreamWriter", &["java.io.Writer"]),
    ("java.awt.Point", &[]),
    ("java.io.BufferedWriter", &["java.io.Writer"]),
    ("java.io.PrintStream", &[]),
    ("java.io.PrintWriter", &["java.io.Writer"]),
    ("java.net.MalformedURLException", &["java.io.IOException"]),
    ("java.nio.file.Path", &["java.lang.Comparable"]),
    ("java.nio.file.Paths", &[]),
    ("java.security.GeneralSecurityException", &["java.lang.Exception"]),
    ("java.security.MessageDigest", &[]),
    ("java.security.NoSuchAlgorithmException", &["java.security.GeneralSecurityException"]),
    ("java.security.SecureRandom", &["java.util.Random"]),
    ("java.sql.Timestamp", &["java.util.Date"]),
    ("java.text.DateFormat", &["java.text.Format"]),
    ("java.text.Format", &["java.lang.Cloneable", "java.io.Serializable"]),
    ("java.text.DecimalFormat", &["java.text.NumberFormat"]),
    ("java.text.MessageFormat", &["java.text.Format"]),
    ("java.text.NumberFormat", &["java.text.Format"]),
    ("java.time.DateTimeException", &["java.lang.RuntimeException"]),
    ("java.time.Duration", &["java.time.temporal.TemporalAmount", "java.lang.Comparable"]),
    ("java.time.Instant", &["java.time.temporal.Temporal", "java.lang.Comparable"]),
    ("java.time.LocalDate", &["java.time.temporal.Temporal", "java.lang.Comparable"]),
    ("java.time.LocalDateTime", &["java.time.temporal.Temporal", "java.lang.Comparable"]),
    ("java.time.LocalTime", &["java.time.temporal.Temporal", "java.lang.Comparable"]),
    ("java.time.OffsetDateTime", &["java.time.temporal.Temporal", "java.lang.Comparable"]),
    ("java.time.Period", &["java.time.temporal.TemporalAmount"]),
    ("java.time.ZoneId", &[]),
    ("java.time.ZoneOffset", &["java.time.ZoneId"]),
    ("java.time.ZoneRegion", &["java.time.ZoneId"]),
    ("java.time.ZonedDateTime", &["java.time.temporal.Temporal", "java.lang.Comparable"]),
    ("java.time.format.DateTimeFormatter", &[]),
    ("java.time.format.DateTimeParseException", &["java.time.DateTimeException"]),
    ("java.time.temporal.Temporal", &["java.time.temporal.TemporalAccessor"]),
    ("java.time.temporal.TemporalAccessor", &[]),
    ("java.time.temporal.TemporalAmount", &[]),
    ("java.time.temporal.TemporalUnit", &[]),
    ("java.time.temporal.UnsupportedTemporalTypeException", &["java.time.DateTimeException"]),
    ("java.time.zone.ZoneRulesException", &["java.time.DateTimeException"]),
    ("java.util.Base64$Decoder", &[]),
    ("java.util.Base64$Encoder", &[]),
    ("java.util.Calendar", &["java.lang.Comparable"]),
    ("java.util.GregorianCalendar", &["java.util.Calendar"]),
    ("java.util.EnumMap", &["java.util.AbstractMap"]),
    ("java.util.EnumSet", &["java.util.AbstractSet"]),
    ("java.util.IdentityHashMap", &["java.util.AbstractMap"]),
    ("java.util.TimeZone", &[]),
    ("java.util.WeakHashMap", &["java.util.AbstractMap"]),
    ("java.util.concurrent.BlockingDeque", &["java.util.concurrent.BlockingQueue"]),
    ("java.util.concurrent.BlockingQueue", &["java.util.Queue"]),
    ("java.util.concurrent.Callable", &[]),
    ("java.util.concurrent.ConcurrentLinkedDeque", &["java.util.Deque"]),
    ("java.util.concurrent.ConcurrentLinkedQueue", &["java.util.Queue"]),
    ("java.util.concurrent.ConcurrentSkipListMap", &["java.util.SortedMap"]),
    ("java.util.concurrent.ConcurrentSkipListSet", &["java.util.SortedSet"]),
    ("java.util.concurrent.CopyOnWriteArrayList", &["java.util.List"]),
    ("java.util.concurrent.CopyOnWriteArraySet", &["java.util.Set"]),
    ("java.util.concurrent.LinkedBlockingDeque", &["java.util.concurrent.BlockingDeque"]),
    ("java.util.concurrent.LinkedBlockingQueue", &["java.util.concurrent.BlockingQueue"]),
    ("java.util.concurrent.ThreadLocalRandom", &["java.util.Random"]),
    ("java.util.function.BiConsumer", &[]),
    ("java.util.function.BiFunction", &[]),
    ("java.util.function.BinaryOperator", &["java.util.function.BiFunction"]),
    ("java.util.function.Consumer", &[]),
    ("java.util.function.Function", &[]),
    ("java.util.function.Predicate", &[]),
    ("java.util.function.Supplier", &[]),
    ("java.util.function.UnaryOperator", &["java.util.function.Function"]),
    ("javax.crypto.Mac", &[]),
    ("javax.crypto.spec.SecretKeySpec", &["java.security.Key"]),
    ("java.security.Key", &[]),
    ("org.apache.commons.lang.StringUtils", &[]),
    ("org.apache.commons.lang3.StringUtils", &[]),
    ("sun.nio.fs.UnixPath", &["java.nio.file.Path"]),
    ("java.nio.charset.Charset", &[]),
    ("com.cloudbees.groovy.cps.NonCPS", &[]),
    ("java.lang.Void", &[]),
    // Exceptions.
    ("java.lang.Throwable", &["java.io.Serializable"]),
    ("java.lang.Exception", &["java.lang.Throwable"]),
    ("java.lang.Error", &["java.lang.Throwable"]),
    ("java.lang.RuntimeException", &["java.lang.Exception"]),
    ("java.lang.AssertionError", &["java.lang.Error"]),
    ("org.codehaus.groovy.runtime.powerassert.PowerAssertionError", &["java.lang.AssertionError"]),
    ("java.lang.LinkageError", &["java.lang.Error"]),
    ("java.lang.NoClassDefFoundError", &["java.lang.LinkageError"]),
    ("java.lang.NoSuchMethodError", &["java.lang.LinkageError"]),
    ("java.lang.VirtualMachineError", &["java.lang.Error"]),
    ("java.lang.StackOverflowError", &["java.lang.VirtualMachineError"]),
    ("java.lang.OutOfMemoryError", &["java.lang.VirtualMachineError"]),
    ("java.lang.ArithmeticException", &["java.lang.RuntimeException"]),
    ("java.lang.ClassCastException", &["java.lang.RuntimeException"]),
    ("org.codehaus.groovy.runtime.typehandling.GroovyCastException", &["java.lang.ClassCastException"]),
    ("java.lang.IllegalArgumentException", &["java.lang.RuntimeException"]),
    ("java.lang.NumberFormatException", &["java.lang.IllegalArgumentException"]),
    ("java.util.regex.PatternSyntaxException", &["java.lang.IllegalArgumentException"]),
    ("java.util.IllegalFormatException", &["java.lang.IllegalArgumentException"]),
    ("java.util.UnknownFormatConversionException", &["java.util.IllegalFormatException"]),
    ("java.util.MissingFormatArgumentException", &["java.util.IllegalFormatException"]),
    ("java.util.IllegalFormatConversionException", &["java.util.IllegalFormatException"]),
    ("java.lang.IllegalStateException", &["java.lang.RuntimeException"]),
    ("java.util.concurrent.CancellationException", &["java.lang.IllegalStateException"]),
    ("java.lang.IndexOutOfBoundsException", &["java.lang.RuntimeException"]),
    ("java.lang.ArrayIndexOutOfBoundsException", &["java.lang.IndexOutOfBoundsException"]),
    ("java.lang.StringIndexOutOfBoundsException", &["java.lang.IndexOutOfBoundsException"]),
    ("java.lang.NegativeArraySizeException", &["java.lang.RuntimeException"]),
    ("java.lang.ArrayStoreException", &["java.lang.RuntimeException"]),
    ("java.lang.NullPointerException", &["java.lang.RuntimeException"]),
    ("java.lang.SecurityException", &["java.lang.RuntimeException"]),
    ("java.lang.UnsupportedOperationException", &["java.lang.RuntimeException"]),
    ("java.util.ConcurrentModificationException", &["java.lang.RuntimeException"]),
    ("java.util.NoSuchElementException", &["java.lang.RuntimeException"]),
    ("java.util.EmptyStackException", &["java.lang.RuntimeException"]),
    ("java.io.UncheckedIOException", &["java.lang.RuntimeException"]),
    ("groovy.lang.GroovyRuntimeException", &["java.lang.RuntimeException"]),
    ("groovy.lang.MissingFieldException", &["groovy.lang.GroovyRuntimeException"]),
    ("groovy.lang.MissingMethodException", &["groovy.lang.GroovyRuntimeException"]),
    ("groovy.lang.MissingPropertyException", &["groovy.lang.GroovyRuntimeException"]),
    ("groovy.lang.ReadOnlyPropertyException", &["groovy.lang.MissingPropertyException"]),
    ("org.codehaus.groovy.control.MultipleCompilationErrorsException", &["groovy.lang.GroovyRuntimeException"]),
    ("groovy.json.JsonException", &["java.lang.RuntimeException"]),
    ("org.xml.sax.SAXException", &["java.lang.Exception"]),
    ("org.xml.sax.SAXParseException", &["org.xml.sax.SAXException"]),
    ("java.lang.CloneNotSupportedException", &["java.lang.Exception"]),
    ("java.lang.InterruptedException", &["java.lang.Exception"]),
    ("java.lang.ReflectiveOperationException", &["java.lang.Exception"]),
    ("java.lang.ClassNotFoundException", &["java.lang.ReflectiveOperationException"]),
    ("java.lang.NoSuchFieldException", &["java.lang.ReflectiveOperationException"]),
    ("java.lang.NoSuchMethodException", &["java.lang.ReflectiveOperationException"]),
    ("java.util.concurrent.TimeoutException", &["java.lang.Exception"]),
    ("java.util.concurrent.ExecutionException", &["java.lang.Exception"]),
    ("java.text.ParseException", &["java.lang.Exception"]),
    ("java.net.URISyntaxException", &["java.lang.Exception"]),
    ("javax.naming.NamingException", &["java.lang.Exception"]),
    ("java.io.IOException", &["java.lang.Exception"]),
    ("java.io.FileNotFoundException", &["java.io.IOException"]),
    ("java.io.EOFException", &["java.io.IOException"]),
    ("java.nio.file.NoSuchFileException", &["java.io.IOException"]),
    ("java.nio.file.FileSystemException", &["java.io.IOException"]),
    ("java.net.MalformedURLException", &["java.io.IOException"]),
    ("java.net.UnknownHostException", &["java.io.IOException"]),
    ("java.net.ConnectException", &["java.io.IOException"]),
    ("java.net.SocketException", &["java.io.IOException"]),
    ("java.net.SocketTimeoutException", &["java.io.IOException"]),
    ("hudson.AbortException", &["java.io.IOException"]),
    ("org.jenkinsci.plugins.credentialsbinding.impl.CredentialNotFoundException", &["hudson.AbortException"]),
    ("org.jenkinsci.plugins.workflow.steps.FlowInterruptedException", &["java.lang.InterruptedException"]),
    ("org.jenkinsci.plugins.scriptsecurity.sandbox.RejectedAccessException", &["java.lang.SecurityException"]),
];

/// Packages whose classes need no import.
/// Groovy's own, and what plugins of Jenkins import into every pipeline.
const DEFAULT_PACKAGES: &[&str] = &[
    "java.lang.",
    "java.util.",
    "java.io.",
    "java.net.",
    "groovy.lang.",
    "groovy.util.",
    // `ReadCSVStep` and `ReadMavenPomStep` of pipeline-utility-steps.
    "org.apache.commons.csv.",
    "org.apache.maven.model.",
];

const INTERFACES: &[&str] = &[
    "java.lang.CharSequence",
    "java.lang.Comparable",
    "java.lang.Cloneable",
    "java.lang.Runnable",
    "java.lang.Iterable",
    "java.io.Serializable",
    "java.util.Collection",
    "java.util.List",
    "java.util.Set",
    "java.util.SortedSet",
    "java.util.Queue",
    "java.util.Deque",
    "java.util.Map",
    "java.util.Map$Entry",
    "java.util.SortedMap",
    "java.util.Iterator",
    "java.util.Comparator",
    "groovy.lang.Range",
    "groovy.lang.GroovyObject",
    "java.nio.file.Path",
    "java.security.Key",
    "java.time.temporal.Temporal",
    "java.util.concurrent.Callable",
    "java.util.function.BiConsumer",
    "java.util.function.BiFunction",
    "java.util.function.BinaryOperator",
    "java.util.function.Consumer",
    "java.util.function.Function",
    "java.util.function.Predicate",
    "java.util.function.Supplier",
    "java.util.function.UnaryOperator",
];

const PRIMITIVES: &[&str] = &["boolean", "byte", "char", "short", "int", "long", "float", "double", "void"];

/// Parents of a class by its full name.
pub(crate) fn known_parents(name: &str) -> &'static [&'static str] {
    KNOWN.iter().find(|(n, _)| *n == name).map_or(&[], |(_, parents)| parents)
}

/// Whether scripts can use a class of that name, with its package or without where it needs no import. A full
/// name that ends like an exception's is one.
pub fn is_class(name: &str) -> bool {
    is_known(name)
        || is_primitive(name)
        || default_import(name).is_some()
        || name.contains('.') && (name.ends_with("Exception") || name.ends_with("Error"))
}

/// The full name of a class by a name that needs no import: `java.lang.System` of `System`.
pub fn full_name(simple: &str) -> Option<&'static str> {
    default_import(simple)
}

/// Whether the full name is known.
pub(crate) fn is_known(name: &str) -> bool {
    KNOWN.iter().any(|(n, _)| *n == name) || crate::machine::is_shim(name) || crate::outside::of_class(name).is_some()
}

pub(crate) fn is_interface(name: &str) -> bool {
    INTERFACES.contains(&name)
}

pub(crate) fn is_primitive(name: &str) -> bool {
    PRIMITIVES.contains(&name)
}

/// The full name of a class that needs no import.
pub(crate) fn default_import(simple: &str) -> Option<&'static str> {
    match simple {
        "BigDecimal" => return Some("java.math.BigDecimal"),
        "BigInteger" => return Some("java.math.BigInteger"),
        "Map.Entry" | "Entry" => return Some("java.util.Map$Entry"),
        _ => {}
    }
    KNOWN
        .iter()
        .map(|(n, _)| *n)
        .chain(crate::machine::shim_names())
        .chain(crate::outside::classes())
        .find(|n| n.strip_suffix(simple).is_some_and(|package| DEFAULT_PACKAGES.contains(&package)))
}

/// Whether class `name` is `target` or below it. Unknown names that end like an exception are exceptions.
pub(crate) fn is_subtype(name: &str, target: &str) -> bool {
    if name == target || target == "java.lang.Object" {
        return true;
    }
    let mut pending = vec![name];
    let mut first = true;
    while let Some(class) = pending.pop() {
        if class == target {
            return true;
        }
        let parents = known_parents(class);
        if parents.is_empty() && first && !is_known(class) {
            if class.ends_with("Exception") {
                pending.push("java.lang.Exception");
            } else if class.ends_with("Error") && class.contains('.') {
                pending.push("java.lang.Error");
            }
        }
        first = false;
        pending.extend(parents);
    }
    name.contains("_closure") && is_subtype("groovy.lang.Closure", target)
}

/// Java's name of an array class of this element type (full name or primitive).
pub(crate) fn array_name(element: &str) -> String {
    let (element, dimensions) = match element.find('[') {
        Some(at) => (&element[..at], element[at..].matches('[').count()),
        None => (element, 0),
    };
    let code = match element {
        "boolean" => "Z".to_string(),
        "byte" => "B".into(),
        "char" => "C".into(),
        "short" => "S".into(),
        "int" => "I".into(),
        "long" => "J".into(),
        "float" => "F".into(),
        "double" => "D".into(),
        other => format!("L{other};"),
    };
    format!("{}{code}", "[".repeat(dimensions + 1))
}

/// The class of what an array of a class holds.
pub(crate) fn element_of_array(name: &str) -> Option<String> {
    let element = name.strip_prefix('[')?;
    Some(match element {
        "I" => "int".into(),
        "J" => "long".into(),
        "Z" => "boolean".into(),
        "C" => "char".into(),
        "B" => "byte".into(),
        "S" => "short".into(),
        "F" => "float".into(),
        "D" => "double".into(),
        deeper if deeper.starts_with('[') => deeper.into(),
        class => class.strip_prefix('L').unwrap_or(class).trim_end_matches(';').into(),
    })
}
