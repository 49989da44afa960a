/** What it is told goes into the log of a Jenkins, not into that of a build: here nobody reads it. */
class Logger {
    static final String GLOBAL_LOGGER_NAME = 'global'
    private final String name
    private java.util.logging.Level own
    private Logger(String name) { this.name = name }
    static java.util.logging.Logger getLogger(String name) { new java.util.logging.Logger(name) }
    static java.util.logging.Logger getAnonymousLogger() { new java.util.logging.Logger(null) }
    static java.util.logging.Logger getGlobal() { new java.util.logging.Logger(GLOBAL_LOGGER_NAME) }
    String getName() { name }
    java.util.logging.Level getLevel() { own }
    void setLevel(java.util.logging.Level level) { own = level }
    boolean isLoggable(java.util.logging.Level level) { level.intValue() >= (own ?: java.util.logging.Level.INFO).intValue() && !own.is(java.util.logging.Level.OFF) }
    void severe(String text) { }
    void warning(String text) { }
    void info(String text) { }
    void config(String text) { }
    void fine(String text) { }
    void finer(String text) { }
    void finest(String text) { }
    void log(java.util.logging.Level level, String text) { }
    void log(java.util.logging.Level level, String text, given) { }
    void entering(String of, String method) { }
    void exiting(String of, String method) { }
}
