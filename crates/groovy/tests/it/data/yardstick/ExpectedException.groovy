package org.junit.rules

/** What a test is to end with. */
class ExpectedException {
    private Class type
    private String text

    static ExpectedException none() { new ExpectedException() }

    void expect(Class type) { this.type = type }

    void expectMessage(String text) {
        this.text = text
        if (type == null) type = Throwable
    }

    /** What is wrong with how the test has ended. */
    Throwable after(Throwable failure) {
        if (type == null) return failure
        if (failure == null) return new AssertionError("expected ${type.name}" as Object)
        if (!type.isInstance(failure) || text && !failure.message?.contains(text)) return failure
        return null
    }
}
