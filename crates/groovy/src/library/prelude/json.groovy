def toJson(self, value) { self.$toJson(groovy.json.JsonDelegate.$plain(value)) }
