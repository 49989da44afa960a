class BufferedReader extends java.io.StringReader {
    BufferedReader(source, size = 0) { super(source) }
}
