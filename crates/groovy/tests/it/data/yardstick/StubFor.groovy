package groovy.mock.interceptor

/** Answers the methods of a class's objects while a block runs: those that are demanded, and no others. */
class StubFor {
    final Class type
    final Demand demand = new Demand()

    StubFor(Class type) { this.type = type }

    Demand getExpect() { demand }

    void use(Closure body) {
        yardstickStub(type.name, this)
        try {
            body.call()
        } finally {
            yardstickStub(type.name, null)
        }
    }

    Object taken(Object target, String name, List args) {
        def call = demand.calls.find { it.name == name && it.count < it.most }
        if (call == null) throw new AssertionError("no call of '$name' of ${type.name} is expected now" as Object)
        call.count++
        return call.body.maximumNumberOfParameters < args.size() ? call.body.call() : call.body.call(*args)
    }
}

class Demand {
    List calls = []

    Object methodMissing(String name, Object args) {
        def range = args.length > 1 ? args[0] : 1..1
        calls << [name: name, least: range.from, most: range.to, body: args[args.length - 1], count: 0]
        return null
    }

    void verify() {
        for (call in calls) {
            if (call.count < call.least) throw new AssertionError("'${call.name}' was called ${call.count} times" as Object)
        }
    }
}
