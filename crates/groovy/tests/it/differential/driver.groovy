// Runs many scripts in one Java virtual machine: `driver.groovy CASES ANSWERS`.
//
// CASES has `id bytes` on a line and so many bytes of text after it, again and again. ANSWERS gets, for each, a line
// `id count`, and for the script and then for each closure of the list that it may have answered, `kind printed result` (bytes)
// with what it printed and what became of it.
import groovy.lang.GString
import java.nio.charset.StandardCharsets
import java.util.regex.Matcher
import java.util.regex.Pattern

class Describe {
    static final Set<String> PLAIN = ['java.lang.', 'java.math.'] as Set

    static String of(v, int depth = 0) {
        if (v == null) return 'null'
        if (depth > 8) return '…'
        Class c = v.getClass()
        if (v instanceof Number || v instanceof Boolean || v instanceof Character) return "${c.simpleName} ${v}"
        if (v instanceof GString) return "GString \"${v}\""
        if (v instanceof String) return "\"${v}\""
        if (c.isArray()) return "${c.componentType.simpleName}[] ${items(v.iterator(), depth)}"
        if (v instanceof Range) return "Range ${items(v.iterator(), depth)}"
        if (v instanceof Set) return "Set ${items(v.iterator(), depth)}"
        if (v instanceof Collection) return "List ${items(v.iterator(), depth)}"
        if (v instanceof Map) return 'Map ' + items(v.entrySet().iterator(), depth)
        if (v instanceof Map.Entry) return "${of(v.key, depth + 1)}: ${of(v.value, depth + 1)}"
        if (v instanceof Closure) return 'Closure'
        if (v instanceof Class) return "Class ${v.name}"
        if (v instanceof Pattern) return "Pattern ${v}"
        if (v instanceof Matcher) return 'Matcher'
        if (v instanceof Iterator) return 'Iterator'
        if (v instanceof Throwable) return "Throwable ${v.class.name}: ${v.message}"
        if (v instanceof CharSequence) return "Text \"${v}\""
        return "${c.name} ${v}"
    }

    static String items(Iterator i, int depth) {
        def out = new StringBuilder('[')
        int n = 0
        while (i.hasNext() && n < 200) {
            if (n++ > 0) out.append(', ')
            out.append(of(i.next(), depth + 1))
        }
        out.append(']').toString()
    }
}

class Part {
    String kind, printed, result
}

static Part part(ByteArrayOutputStream sink, List value, Closure run) {
    sink.reset()
    def part = new Part(kind: 'value')
    try {
        def answer = run()
        value << answer
        boolean probes = answer instanceof List && answer && answer.every { it instanceof Closure }
        part.result = probes ? '' : Describe.of(answer)
    } catch (org.codehaus.groovy.control.CompilationFailedException e) {
        part.kind = 'rejected'
        part.result = e.message
    } catch (Throwable e) {
        part.kind = 'threw'
        part.result = "${e.class.name}: ${e.message}"
    }
    System.out.flush()
    part.printed = sink.toString('UTF-8')
    part
}

def data = new DataInputStream(new BufferedInputStream(new FileInputStream(args[0])))
def answers = new BufferedOutputStream(new FileOutputStream(args[1]))
def sink = new ByteArrayOutputStream()
def console = System.out
System.out = new PrintStream(sink, true, 'UTF-8')
String line
while ((line = data.readLine()) != null) {
    def (id, length) = line.tokenize(' ')
    byte[] bytes = new byte[length as int]
    data.readFully(bytes)
    String source = new String(bytes, StandardCharsets.UTF_8)
    def parts = [], value = []
    parts << part(sink, value) { new GroovyShell().evaluate(source, 'gen.groovy') }
    def probes = value ? value[0] : null
    if (probes instanceof List && probes && probes.every { it instanceof Closure }) {
        probes.each { probe -> parts << part(sink, []) { probe() } }
    }
    answers.write("$id ${parts.size()}\n".getBytes('UTF-8'))
    parts.each { Part p ->
        byte[] printed = p.printed.getBytes('UTF-8'), result = String.valueOf(p.result).getBytes('UTF-8')
        answers.write("${p.kind} ${printed.length} ${result.length}\n".getBytes('UTF-8'))
        answers.write(printed)
        answers.write(result)
    }
    answers.flush()
}
answers.close()
System.out = console
