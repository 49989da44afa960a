class StreamingTemplateEngine {
    StreamingTemplateEngine(loader = null) { }
    def createTemplate(text) { new groovy.text.Template(text.toString(), true) }
}
