class StreamingMarkupBuilder {
    def encoding = null
    boolean useDoubleQuotes = false
    boolean expandEmptyElements = false
    def bindNode(node) { bind(node) }
    def bind(content) { new groovy.xml.BoundMarkup(this, content) }
}
