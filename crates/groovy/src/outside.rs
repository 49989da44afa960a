//! Classes and methods of Java and Groovy that reach outside of the script: the machine's host, its network, the
//! virtual machine itself. None of them does anything here. One table for the machine, which refuses them when they are
//! used, and for whoever wants to say so before.

use std::collections::HashSet;
use std::sync::LazyLock;

/// What a refused name would reach.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outside {
    /// Programs of the host.
    Process,
    /// Files of the host.
    Files,
    /// The network.
    Network,
    /// Variables and settings of the process that runs the script.
    System,
    /// What the process that runs the script prints.
    Output,
    /// Threads, locks and waiting.
    Threads,
    /// Code made from text.
    Code,
    /// Classes as objects that can be looked into or changed.
    Reflection,
    /// Databases.
    Database,
    /// Dependencies that are fetched while a script starts.
    Dependencies,
    /// The time.
    Clock,
    /// Random numbers.
    Randomness,
}

use Outside::{Code, Database, Dependencies, Files, Network, Process, Reflection, System, Threads};

/// Members that the rule of a class does not mean: `*` is any, `new` the constructors.
const ANY: &str = "*";

/// Class, members (`*`: any of them; `new`: making one; names: these), what it would reach.
const STATICS: &[(&str, &[&str], Outside)] = &[
    ("groovy.grape.Grape", &[ANY], Dependencies),
    ("groovy.lang.Grab", &[ANY], Dependencies),
    ("groovy.lang.Grapes", &[ANY], Dependencies),
    ("groovy.lang.GroovyClassLoader", &[ANY], Code),
    ("groovy.lang.GroovyShell", &[ANY], Code),
    ("groovy.lang.GroovySystem", &[ANY], Reflection),
    ("groovy.lang.MetaClass", &[ANY], Reflection),
    ("groovy.sql.Sql", &[ANY], Database),
    ("groovy.util.AntBuilder", &[ANY], Process),
    ("groovy.util.Eval", &[ANY], Code),
    ("groovy.util.GroovyScriptEngine", &[ANY], Code),
    ("java.io.BufferedInputStream", &[ANY], Files),
    ("java.io.BufferedOutputStream", &[ANY], Files),
    ("java.io.DataInputStream", &[ANY], Files),
    ("java.io.DataOutputStream", &[ANY], Files),
    ("java.io.File", &["createTempFile", "listRoots"], Files),
    ("java.io.FileInputStream", &[ANY], Files),
    ("java.io.FileOutputStream", &[ANY], Files),
    ("java.io.FileReader", &[ANY], Files),
    ("java.io.FileWriter", &[ANY], Files),
    ("java.io.ObjectInputStream", &[ANY], Files),
    ("java.io.ObjectOutputStream", &[ANY], Files),
    ("java.io.RandomAccessFile", &[ANY], Files),
    ("java.lang.Class", &["forName"], Reflection),
    ("java.lang.ClassLoader", &[ANY], Reflection),
    ("java.lang.Process", &[ANY], Process),
    ("java.lang.ProcessBuilder", &[ANY], Process),
    ("java.lang.Runtime", &[ANY], Process),
    (
        "java.lang.System",
        &[
            "clearProperty",
            "console",
            "exit",
            "gc",
            "getIn",
            "getProperties",
            "getProperty",
            "getProperties",
            "getSecurityManager",
            "getenv",
            "load",
            "loadLibrary",
            "runFinalization",
            "setErr",
            "setIn",
            "setOut",
            "setProperties",
            "setProperty",
            "setSecurityManager",
        ],
        System,
    ),
    ("java.lang.Thread", &[ANY], Threads),
    ("java.lang.ThreadGroup", &[ANY], Threads),
    ("java.lang.ThreadLocal", &[ANY], Threads),
    ("java.lang.reflect.Array", &[ANY], Reflection),
    ("java.lang.reflect.Constructor", &[ANY], Reflection),
    ("java.lang.reflect.Field", &[ANY], Reflection),
    ("java.lang.reflect.Method", &[ANY], Reflection),
    ("java.lang.reflect.Modifier", &[ANY], Reflection),
    ("java.lang.reflect.Proxy", &[ANY], Reflection),
    ("java.net.DatagramSocket", &[ANY], Network),
    ("java.net.HttpURLConnection", &[ANY], Network),
    ("java.net.InetAddress", &[ANY], Network),
    ("java.net.InetSocketAddress", &[ANY], Network),
    ("java.net.NetworkInterface", &[ANY], Network),
    ("java.net.ServerSocket", &[ANY], Network),
    ("java.net.Socket", &[ANY], Network),
    ("java.net.URLClassLoader", &[ANY], Reflection),
    ("java.net.URLConnection", &[ANY], Network),
    ("java.net.http.HttpClient", &[ANY], Network),
    ("java.net.http.HttpRequest", &[ANY], Network),
    ("java.nio.channels.FileChannel", &[ANY], Files),
    ("java.nio.file.FileSystems", &[ANY], Files),
    ("java.nio.file.Files", &[ANY], Files),
    ("java.sql.DriverManager", &[ANY], Database),
    ("java.util.ServiceLoader", &[ANY], Reflection),
    ("java.util.Timer", &[ANY], Threads),
    ("java.util.concurrent.CompletableFuture", &[ANY], Threads),
    ("java.util.concurrent.CountDownLatch", &[ANY], Threads),
    ("java.util.concurrent.Executors", &[ANY], Threads),
    ("java.util.concurrent.ForkJoinPool", &[ANY], Threads),
    ("java.util.concurrent.Semaphore", &[ANY], Threads),
    ("java.util.concurrent.ThreadPoolExecutor", &[ANY], Threads),
    ("java.util.concurrent.locks.ReentrantLock", &[ANY], Threads),
    ("java.util.jar.JarFile", &[ANY], Files),
    ("java.util.zip.ZipFile", &[ANY], Files),
    ("javax.net.ssl.HttpsURLConnection", &[ANY], Network),
    ("javax.script.ScriptEngineManager", &[ANY], Code),
    ("org.codehaus.groovy.control.CompilerConfiguration", &[ANY], Code),
    ("org.codehaus.groovy.runtime.InvokerHelper", &[ANY], Reflection),
];

/// Class of the receiver (`*`: any), method, what it would reach.
const METHODS: &[(&str, &[&str], Outside)] = &[
    (ANY, &["getMetaClass", "setMetaClass"], Reflection),
    (
        "java.io.File",
        &[
            "append",
            "asWritable",
            "canExecute",
            "canRead",
            "canWrite",
            "createNewFile",
            "createTempDir",
            "delete",
            "deleteDir",
            "deleteOnExit",
            "directorySize",
            "eachDir",
            "eachDirMatch",
            "eachDirRecurse",
            "eachFile",
            "eachFileMatch",
            "eachFileRecurse",
            "eachLine",
            "exists",
            "filterLine",
            "getBytes",
            "getFreeSpace",
            "getText",
            "getTotalSpace",
            "getUsableSpace",
            "isDirectory",
            "isFile",
            "isHidden",
            "lastModified",
            "leftShift",
            "length",
            "list",
            "listFiles",
            "mkdir",
            "mkdirs",
            "newDataInputStream",
            "newDataOutputStream",
            "newInputStream",
            "newOutputStream",
            "newPrintWriter",
            "newReader",
            "newWriter",
            "readBytes",
            "readLines",
            "renameTo",
            "setBytes",
            "setExecutable",
            "setLastModified",
            "setReadable",
            "setReadOnly",
            "setText",
            "setWritable",
            "size",
            "splitEachLine",
            "toRealPath",
            "traverse",
            "withInputStream",
            "withOutputStream",
            "withPrintWriter",
            "withReader",
            "withWriter",
            "withWriterAppend",
            "write",
        ],
        Files,
    ),
    (
        "java.lang.Class",
        &[
            "getAnnotations",
            "getClassLoader",
            "getConstructor",
            "getConstructors",
            "getDeclaredConstructor",
            "getDeclaredConstructors",
            "getDeclaredField",
            "getDeclaredFields",
            "getDeclaredMethod",
            "getDeclaredMethods",
            "getField",
            "getFields",
            "getMethod",
            "getMethods",
            "getProtectionDomain",
            "getResource",
            "getResourceAsStream",
            "mixin",
        ],
        Reflection,
    ),
    ("java.lang.Iterable", &["execute"], Process),
    ("java.lang.Object", &["notify", "notifyAll", "wait"], Threads),
    ("java.lang.String", &["execute"], Process),
    ("java.net.URI", &["getText"], Network),
    (
        "java.net.URL",
        &[
            "eachByte",
            "eachLine",
            "filterLine",
            "getBytes",
            "getContent",
            "getText",
            "newInputStream",
            "newReader",
            "openConnection",
            "openStream",
            "readLines",
            "splitEachLine",
            "withInputStream",
            "withReader",
        ],
        Network,
    ),
    ("java.util.List", &["execute"], Process),
    ("java.util.Date", &["setSystemTime"], System),
];

fn says(members: &[&str], name: &str) -> bool {
    members.iter().any(|m| *m == name || *m == ANY)
}

/// Whether a static method, a static property (as its getter) or (`new`) the constructors of a class reach outside.
pub fn of_static(class: &str, member: &str) -> Option<Outside> {
    // Codes of answers are numbers.
    if ["", "get", "is"].into_iter().filter_map(|prefix| member.strip_prefix(prefix)).any(|m| m.starts_with("HTTP_")) {
        return None;
    }
    let at = STATICS.binary_search_by(|(c, ..)| (*c).cmp(class)).ok()?;
    let (_, members, outside) = STATICS[at];
    says(members, member).then_some(outside)
}

/// Whether a static field reaches outside where a pipeline is in Jenkins' sandbox: the output of the process that runs it.
pub(crate) fn of_field(class: &str, field: &str) -> Option<Outside> {
    (class == "java.lang.System" && matches!(field, "out" | "err")).then_some(Outside::Output)
}

/// Whether a method of that name may reach outside, of some receiver.
pub(crate) fn is_mentioned(method: &str) -> bool {
    static NAMES: LazyLock<HashSet<&str>> =
        LazyLock::new(|| METHODS.iter().flat_map(|(_, members, _)| members.iter().copied()).collect());
    NAMES.contains(method)
}

/// Whether a method reaches outside, of a receiver of that class; `is_a` says what else the receiver is.
pub(crate) fn of_method(is_a: &dyn Fn(&str) -> bool, method: &str) -> Option<Outside> {
    let mut rules = METHODS.iter().filter(|(_, members, _)| members.contains(&method));
    rules.find(|(class, ..)| *class == ANY || is_a(class)).map(|(_, _, outside)| *outside)
}

/// Whether a method of objects of exactly that class reaches outside.
pub fn of_object(class: &str, method: &str) -> Option<Outside> {
    of_method(&|of| of == class, method)
}

/// Classes of which nothing can be used, by full name.
pub fn of_class(class: &str) -> Option<Outside> {
    let at = STATICS.binary_search_by(|(c, ..)| (*c).cmp(class)).ok()?;
    let (_, members, outside) = STATICS[at];
    members.contains(&ANY).then_some(outside)
}

/// Full names of the classes that nothing can be used of.
pub(crate) fn classes() -> impl Iterator<Item = &'static str> {
    STATICS.iter().filter(|(_, members, _)| members.contains(&ANY)).map(|(class, ..)| *class)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tables_are_sorted_and_a_rule_means_what_it_says() {
        assert!(STATICS.is_sorted_by_key(|(class, ..)| *class), "the classes");
        assert_eq!(of_static("java.lang.System", "getenv"), Some(System));
        assert_eq!(of_static("java.lang.System", "currentTimeMillis"), None);
        assert_eq!(of_class("java.lang.System"), None);
        assert_eq!(of_class("java.lang.Runtime"), Some(Process));
        assert_eq!(of_method(&|c| c == "java.lang.String", "execute"), Some(Process));
        assert_eq!(of_method(&|c| c == "java.util.Map", "execute"), None);
    }
}
