package com.lesfurets.jenkins.unit

/** What a test of a library begins with. */
abstract class BasePipelineTest {
    PipelineTestHelper helper = new PipelineTestHelper()
    def binding = yardstickBinding()

    void setUp() throws Exception {
        helper.clearCallStack()
        registerSteps()
        registerSilentSteps()
        binding.setVariable('currentBuild', [
            result: 'SUCCESS', currentResult: 'SUCCESS', number: 1, id: '1', displayName: '#1', description: '', previousBuild: null,
        ])
        binding.setVariable('env', [:])
        binding.setVariable('scm', [:])
        binding.setVariable('params', [:])
        binding.setVariable('credentials', [:])
    }

    /** Steps that are recorded and run the blocks that they are given. */
    private void registerSilentSteps() {
        def map = ['archiveArtifacts', 'build', 'checkout', 'choice', 'copyArtifacts', 'logRotator', 'mail', 'stash', 'step', 'timeout', 'unarchive', 'unstash', 'unzip', 'writeFile']
        def text = ['archiveArtifacts', 'cron', 'input', 'junit', 'message', 'pollSCM', 'stage']
        def alone = ['cleanWs', 'deleteDir', 'disableConcurrentBuilds', 'skipDefaultCheckout', 'skipStagesAfterUnstable', 'sleep', 'timestamps']
        map.each { helper.registerAllowedMethod(it, [Map]) }
        text.each { helper.registerAllowedMethod(it, [String]) }
        alone.each { helper.registerAllowedMethod(it) }
        ['parameters', 'pipelineTriggers', 'properties'].each { helper.registerAllowedMethod(it, [List]) }
        ['node', 'stage', 'ws', 'dir', 'container'].each { helper.registerAllowedMethod(it, [String, Closure]) }
        ['container', 'timeout', 'withMaven', 'wrap'].each { helper.registerAllowedMethod(it, [Map, Closure]) }
        ['checkout', 'input', 'node', 'script', 'waitUntil'].each { helper.registerAllowedMethod(it, [Closure]) }
        helper.registerAllowedMethod('buildDiscarder', [Object])
        helper.registerAllowedMethod('timeout', [Integer, Closure])
        helper.registerAllowedMethod('withCredentials', [Map, Closure])
    }

    /** Steps that have an answer or an effect. */
    private void registerSteps() {
        helper.registerAllowedMethod('bat', [String]) { helper.runBat(it) }
        helper.registerAllowedMethod('bat', [Map]) { helper.runBat(it) }
        helper.registerAllowedMethod('sh', [String]) { helper.runSh(it) }
        helper.registerAllowedMethod('sh', [Map]) { helper.runSh(it) }
        helper.registerAllowedMethod('echo', [String]) { println it }
        helper.registerAllowedMethod('error', [String]) { updateBuildStatus('FAILURE') }
        helper.registerAllowedMethod('unstable', [String]) { updateBuildStatus('UNSTABLE') }
        helper.registerAllowedMethod('fileExists', [Map]) { helper.fileExists(it) }
        helper.registerAllowedMethod('fileExists', [String]) { helper.fileExists(it) }
        helper.registerAllowedMethod('readFile', [Map]) { helper.readFile(it) }
        helper.registerAllowedMethod('readFile', [String]) { helper.readFile(it) }
        helper.registerAllowedMethod('isUnix', []) { true }
        helper.registerAllowedMethod('pwd', []) { 'workspaceDirMocked' }
        helper.registerAllowedMethod('pwd', [Map]) { 'tempDirMocked' }
        helper.registerAllowedMethod('libraryResource', [String]) { yardstickResource(it) }
        helper.registerAllowedMethod('libraryResource', [Map]) { yardstickResource(it.resource) }
        helper.registerAllowedMethod('load', [String]) { loadScript(it) }
        helper.registerAllowedMethod('parallel', [Map]) { branches(it) }
        helper.registerAllowedMethod('tool', [Map]) { "${it.name}_HOME" }
        helper.registerAllowedMethod('string', [Map]) { it.variable }
        helper.registerAllowedMethod('usernamePassword', [Map]) { [it.usernameVariable, it.passwordVariable] }
        helper.registerAllowedMethod('withCredentials', [List, Closure]) { list, body -> withVariables(list.flatten(), body) }
        helper.registerAllowedMethod('withEnv', [List, Closure]) { list, body -> withEnvironment(list, body) }
        helper.registerAllowedMethod('catchError', [Closure]) { body -> catching([:], body) }
        helper.registerAllowedMethod('catchError', [Map, Closure]) { options, body -> catching(options, body) }
        helper.registerAllowedMethod('retry', [Integer, Closure]) { count, body -> attempts(count, body) }
    }

    /** One branch after the other, all of them; what some have thrown is thrown at the end. */
    private Object branches(Map branches) {
        def failures = []
        branches.each { name, body ->
            if (name == 'failFast') return
            try {
                body.call()
            } catch (e) {
                binding.getVariable('currentBuild').result = 'FAILURE'
                failures << "$name - ${e.message}"
            }
        }
        if (failures) throw new RuntimeException(failures.join(','))
    }

    private Object withVariables(List names, Closure body) {
        names = names.findAll { it instanceof String }
        def before = names.collectEntries { [it, binding.hasVariable(it) ? binding.getVariable(it) : null] }
        names.each { binding.setVariable(it, it) }
        def result = body.call()
        before.each { name, value -> binding.setVariable(name, value) }
        return result
    }

    private Object withEnvironment(List pairs, Closure body) {
        def before = new LinkedHashMap(binding.getVariable('env'))
        pairs.each { pair ->
            def (name, value) = pair.split('=', 2) as List
            addEnvVar(name, value)
        }
        try {
            return body.call()
        } finally {
            binding.setVariable('env', before)
        }
    }

    private Object catching(Map options, Closure body) {
        try {
            return body.call()
        } catch (ignored) {
            if (options.buildResult == 'SUCCESS' || options && options.buildResult == null) return null
            if (binding.getVariable('currentBuild').currentResult != 'FAILURE') updateBuildStatus(options.buildResult ?: 'FAILURE')
        }
    }

    private Object attempts(int count, Closure body) {
        for (int n = 1; ; n++) {
            try {
                return body.call()
            } catch (e) {
                if (n >= count) throw e
            }
        }
    }

    Object loadScript(String path) {
        yardstickLoad(path)
    }

    void updateBuildStatus(String status) {
        binding.getVariable('currentBuild').result = status
        binding.getVariable('currentBuild').currentResult = status
    }

    void addEnvVar(String name, String value) {
        binding.getVariable('env')[name] = value
    }

    void addParam(String name, Object value, Boolean overwrite = false) {
        def params = binding.getVariable('params')
        if (overwrite || params[name] == null) binding.setVariable('params', params + [(name): value])
    }

    void addCredential(String key, String value) {
        binding.getVariable('credentials')[key] = value
    }

    void clearCallStack() {
        helper.clearCallStack()
    }

    String callStackDump() {
        helper.callStack.collect { it.toString() }.join('\n')
    }

    void printCallStack() {
        println callStackDump()
    }

    void assertCallStackContains(String text) {
        if (!callStackDump().contains(text)) throw new AssertionError("no call with $text")
    }

    void assertJobStatusSuccess() { assertJobStatus('SUCCESS') }

    void assertJobStatusFailure() { assertJobStatus('FAILURE') }

    void assertJobStatusUnstable() { assertJobStatus('UNSTABLE') }

    void assertJobStatusAborted() { assertJobStatus('ABORTED') }

    private void assertJobStatus(String status) {
        def result = binding.getVariable('currentBuild').result
        if (result != status) throw new AssertionError("the result is $result and not $status")
    }
}
