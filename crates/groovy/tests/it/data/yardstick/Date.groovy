package java.util

/** A time that nobody looks at: the tests say what it answers. */
class Date {
    long getTime() { 0 }
}
