package yardstick

/** Runs one test as JUnit does. */
class Runner {
    static void run(Object test, List before, String name, List rules) {
        Throwable failure = null
        try {
            before.each { test."$it"() }
            test."$name"()
        } catch (Throwable thrown) {
            failure = thrown
        }
        rules.each { failure = test."$it".after(failure) }
        if (failure != null) throw failure
    }
}
