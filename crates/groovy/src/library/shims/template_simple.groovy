class SimpleTemplateEngine {
    SimpleTemplateEngine(loader = null) { }
    def createTemplate(text) { new groovy.text.Template(text.toString(), false, true) }
}
