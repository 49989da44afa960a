package org.junit

class Assert {
    static void assertTrue(String message = null, boolean condition) {
        if (!condition) fail(message ?: 'expected true')
    }

    static void assertFalse(String message = null, boolean condition) {
        if (condition) fail(message ?: 'expected false')
    }

    static void assertEquals(String message = null, Object expected, Object actual) {
        if (expected == null ? actual != null : !expected.equals(actual)) {
            fail((message ? message + ': ' : '') + "expected <$expected> and not <$actual>")
        }
    }

    static void assertNotNull(String message = null, Object value) {
        if (value == null) fail(message ?: 'expected something and not null')
    }

    static void assertNull(String message = null, Object value) {
        if (value != null) fail(message ?: "expected null and not <$value>")
    }

    static void fail(String message = null) {
        throw new AssertionError(message as Object)
    }
}
