package com.lesfurets.jenkins.unit

/** Which calls of scripts are answered by what, and all that were made. */
class PipelineTestHelper {
    /** All calls of scripts, oldest first. */
    List callStack = []
    /** Name → signature → `[types, body]`. */
    private Map allowed = [:]
    private Map files = [:]
    private Map existing = [:]
    private List shells = []
    private List batches = []
    private int depth = 0

    PipelineTestHelper() {
        yardstickHelper(this)
    }

    void registerAllowedMethod(String name, Closure body) {
        registerAllowedMethod(name, [], body)
    }

    void registerAllowedMethod(String name, List types = [], Closure body = null) {
        if (!allowed.containsKey(name)) allowed[name] = [:]
        allowed[name][types.collect { it.name }.join(',')] = [types: types, body: body]
    }

    void clearCallStack() {
        callStack.clear()
    }

    long methodCallCount(String name) {
        callStack.count { it.methodName == name }
    }

    void addFileExistsMock(String file, Boolean result) {
        existing[file] = result
    }

    void addReadFileMock(String file, String contents) {
        files[file] = contents
    }

    void addShMock(Object filter, String stdout, int exitValue) {
        shells << [filter: filter, stdout: stdout, exitValue: exitValue]
    }

    void addShMock(Object filter, Closure answer) {
        shells << [filter: filter, answer: answer]
    }

    void addBatMock(Object filter, String stdout, int exitValue) {
        batches << [filter: filter, stdout: stdout, exitValue: exitValue]
    }

    void addBatMock(Object filter, Closure answer) {
        batches << [filter: filter, answer: answer]
    }

    Boolean fileExists(Object args) {
        existing[args instanceof Map ? args.file : args] ?: false
    }

    String readFile(Object args) {
        files[(args instanceof Map ? args.file : args) as String] ?: ''
    }

    Object runSh(Object args) {
        run(args, shells)
    }

    Object runBat(Object args) {
        run(args, batches)
    }

    /** The last mock that fits says what came of the command; without one it has succeeded. */
    private Object run(Object args, List mocks) {
        Map options = args instanceof Map ? args : [script: args]
        String script = options.script
        if (options.returnStatus && options.returnStdout) {
            throw new IllegalArgumentException('a command answers its status or its output')
        }
        def mock = mocks.reverse().find { fits(it.filter, script) }
        Map result = mock == null ? [stdout: '', exitValue: 0] : mock.answer ? mock.answer(script) : mock
        if (options.returnStatus) return result.exitValue
        if (result.exitValue != 0) throw new Exception('script returned exit code ' + result.exitValue)
        return options.returnStdout ? result.stdout : null
    }

    private boolean fits(Object filter, String script) {
        filter instanceof java.util.regex.Pattern ? script ==~ filter : filter.toString() == script
    }

    /** A call of a script, before its own methods are looked at. */
    Object taken(Object target, String name, List args) {
        callStack << new MethodCall(target, name, args.collect { kept(it) }, depth)
        depth++
        try {
            def found = entry(name, args)
            if (found == null) return yardstickProceed(target, name, args)
            if (found.body == null) return callClosuresIn(args)
            found.body.delegate = target
            return found.body.call(*args)
        } finally {
            depth--
        }
    }

    private Object entry(String name, List args) {
        allowed[name]?.values()?.find { it.types.size() == args.size() && accepts(it.types, args) }
    }

    private boolean accepts(List types, List args) {
        for (int i = 0; i < types.size(); i++) {
            def (type, arg) = [types[i], args[i]]
            if (arg == null || type == Object || type.isInstance(arg)) continue
            if (type == String && arg instanceof GString) continue
            return false
        }
        return true
    }

    /** What a call had as it was made, whatever becomes of it. */
    private Object kept(Object arg) {
        if (arg == null || arg instanceof Closure) return arg
        if (arg instanceof Map) return new LinkedHashMap(arg)
        if (arg instanceof Collection) return new ArrayList(arg)
        return arg.toString()
    }

    /** A step that does nothing but run what is in it. */
    private Object callClosuresIn(List args) {
        def result = null
        for (arg in args) {
            if (arg instanceof Closure) result = arg.call()
            if (arg instanceof Map) {
                for (inner in arg.values()) if (inner instanceof Closure) result = inner.call()
            }
        }
        return result
    }
}

/** A call of a script. */
class MethodCall {
    Object target
    String methodName
    List args
    int stackDepth

    MethodCall(Object target, String methodName, List args, int stackDepth) {
        this.target = target
        this.methodName = methodName
        this.args = args
        this.stackDepth = stackDepth
    }

    static String callArgsToString(MethodCall call) {
        call.argsToString()
    }

    String argsToString() {
        args.collect { plain(it) }.join(', ')
    }

    /** Java's text: `{k=v}` and `[a, b]`. */
    private static String plain(Object arg) {
        if (arg instanceof Closure) return 'groovy.lang.Closure'
        if (arg instanceof Map) return '{' + arg.collect { k, v -> "${k}=${plain(v)}" }.join(', ') + '}'
        if (arg instanceof Collection) return '[' + arg.collect { plain(it) }.join(', ') + ']'
        return String.valueOf(arg)
    }

    String toString() {
        '   ' * stackDepth + "${target.class.simpleName}.${methodName}(${argsToString()})"
    }
}
