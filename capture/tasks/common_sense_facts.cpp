// SPDX-License-Identifier: GPL-3.0-or-later

#include "capture/tasks/common_sense_facts.h"

#include <array>

namespace kvloupe {

namespace {

constexpr auto kinds = std::to_array<SenseFact>({{"a dog", "an animal", "animal"}, {"a horse", "an animal", "animal"},
    {"a rabbit", "an animal", "animal"}, {"a sheep", "an animal", "animal"}, {"a tiger", "an animal", "animal"},
    {"a mouse", "an animal", "animal"}, {"a goat", "an animal", "animal"}, {"a bear", "an animal", "animal"},
    {"a monkey", "an animal", "animal"}, {"a wolf", "an animal", "animal"}, {"a pig", "an animal", "animal"},
    {"a deer", "an animal", "animal"}, {"an apple", "a fruit", "plant"}, {"a banana", "a fruit", "plant"},
    {"a pear", "a fruit", "plant"}, {"a peach", "a fruit", "plant"}, {"a cherry", "a fruit", "plant"},
    {"a grape", "a fruit", "plant"}, {"a lemon", "a fruit", "plant"}, {"a melon", "a fruit", "plant"},
    {"a plum", "a fruit", "plant"}, {"a mango", "a fruit", "plant"}, {"a strawberry", "a fruit", "plant"},
    {"a pineapple", "a fruit", "plant"}, {"a carrot", "a vegetable", "plant"}, {"a cabbage", "a vegetable", "plant"},
    {"an onion", "a vegetable", "plant"}, {"a potato", "a vegetable", "plant"}, {"spinach", "a vegetable", "plant"},
    {"broccoli", "a vegetable", "plant"}, {"a cucumber", "a vegetable", "plant"}, {"celery", "a vegetable", "plant"},
    {"a radish", "a vegetable", "plant"}, {"a turnip", "a vegetable", "plant"}, {"lettuce", "a vegetable", "plant"},
    {"garlic", "a vegetable", "plant"}, {"a hammer", "a tool", "tool"}, {"a saw", "a tool", "tool"},
    {"a screwdriver", "a tool", "tool"}, {"a shovel", "a tool", "tool"}, {"an axe", "a tool", "tool"},
    {"a drill", "a tool", "tool"}, {"a wrench", "a tool", "tool"}, {"a rake", "a tool", "tool"},
    {"a chisel", "a tool", "tool"}, {"pliers", "a tool", "tool"}, {"a spade", "a tool", "tool"},
    {"a crowbar", "a tool", "tool"}, {"a chair", "a piece of furniture", "furniture"},
    {"a table", "a piece of furniture", "furniture"}, {"a sofa", "a piece of furniture", "furniture"},
    {"a bed", "a piece of furniture", "furniture"}, {"a desk", "a piece of furniture", "furniture"},
    {"a bookcase", "a piece of furniture", "furniture"}, {"a wardrobe", "a piece of furniture", "furniture"},
    {"a bench", "a piece of furniture", "furniture"}, {"a stool", "a piece of furniture", "furniture"},
    {"a cupboard", "a piece of furniture", "furniture"}, {"an armchair", "a piece of furniture", "furniture"},
    {"a dresser", "a piece of furniture", "furniture"}, {"a piano", "a musical instrument", "instrument"},
    {"a violin", "a musical instrument", "instrument"}, {"a guitar", "a musical instrument", "instrument"},
    {"a flute", "a musical instrument", "instrument"}, {"a trumpet", "a musical instrument", "instrument"},
    {"a drum", "a musical instrument", "instrument"}, {"a harp", "a musical instrument", "instrument"},
    {"a cello", "a musical instrument", "instrument"}, {"a clarinet", "a musical instrument", "instrument"},
    {"a trombone", "a musical instrument", "instrument"}, {"an accordion", "a musical instrument", "instrument"},
    {"a banjo", "a musical instrument", "instrument"}, {"a shirt", "a piece of clothing", "clothing"},
    {"a coat", "a piece of clothing", "clothing"}, {"a skirt", "a piece of clothing", "clothing"},
    {"a hat", "a piece of clothing", "clothing"}, {"a dress", "a piece of clothing", "clothing"},
    {"a sweater", "a piece of clothing", "clothing"}, {"a sock", "a piece of clothing", "clothing"},
    {"a scarf", "a piece of clothing", "clothing"}, {"a jacket", "a piece of clothing", "clothing"},
    {"a glove", "a piece of clothing", "clothing"}, {"a belt", "a piece of clothing", "clothing"},
    {"trousers", "a piece of clothing", "clothing"}, {"a car", "a vehicle", "vehicle"},
    {"a bus", "a vehicle", "vehicle"}, {"a truck", "a vehicle", "vehicle"}, {"a train", "a vehicle", "vehicle"},
    {"a bicycle", "a vehicle", "vehicle"}, {"a tram", "a vehicle", "vehicle"}, {"a motorcycle", "a vehicle", "vehicle"},
    {"a taxi", "a vehicle", "vehicle"}, {"a van", "a vehicle", "vehicle"}, {"a tractor", "a vehicle", "vehicle"},
    {"an ambulance", "a vehicle", "vehicle"}, {"a ship", "a vehicle", "vehicle"}, {"milk", "a drink", "drink"},
    {"coffee", "a drink", "drink"}, {"tea", "a drink", "drink"}, {"lemonade", "a drink", "drink"},
    {"wine", "a drink", "drink"}, {"beer", "a drink", "drink"}, {"cocoa", "a drink", "drink"},
    {"juice", "a drink", "drink"}, {"water", "a drink", "drink"}, {"soda", "a drink", "drink"},
    {"cider", "a drink", "drink"}, {"whiskey", "a drink", "drink"}, {"a hand", "a part of the body", "body"},
    {"a foot", "a part of the body", "body"}, {"a nose", "a part of the body", "body"},
    {"an ear", "a part of the body", "body"}, {"a knee", "a part of the body", "body"},
    {"an elbow", "a part of the body", "body"}, {"a shoulder", "a part of the body", "body"},
    {"an eye", "a part of the body", "body"}, {"a finger", "a part of the body", "body"},
    {"a toe", "a part of the body", "body"}, {"a chin", "a part of the body", "body"},
    {"an ankle", "a part of the body", "body"}, {"a doctor", "a job", "job"}, {"a teacher", "a job", "job"},
    {"a baker", "a job", "job"}, {"a farmer", "a job", "job"}, {"a nurse", "a job", "job"},
    {"a lawyer", "a job", "job"}, {"a pilot", "a job", "job"}, {"a carpenter", "a job", "job"},
    {"a plumber", "a job", "job"}, {"a dentist", "a job", "job"}, {"a waiter", "a job", "job"},
    {"a butcher", "a job", "job"}, {"iron", "a metal", "metal"}, {"gold", "a metal", "metal"},
    {"silver", "a metal", "metal"}, {"copper", "a metal", "metal"}, {"tin", "a metal", "metal"},
    {"lead", "a metal", "metal"}, {"zinc", "a metal", "metal"}, {"nickel", "a metal", "metal"},
    {"aluminium", "a metal", "metal"}, {"steel", "a metal", "metal"}, {"bronze", "a metal", "metal"},
    {"titanium", "a metal", "metal"}, {"a house", "a building", "building"}, {"a church", "a building", "building"},
    {"a school", "a building", "building"}, {"a hospital", "a building", "building"},
    {"a castle", "a building", "building"}, {"a museum", "a building", "building"},
    {"a hotel", "a building", "building"}, {"a factory", "a building", "building"},
    {"a library", "a building", "building"}, {"a theater", "a building", "building"},
    {"a temple", "a building", "building"}, {"a palace", "a building", "building"}, {"an eagle", "a bird", "animal"},
    {"an owl", "a bird", "animal"}, {"a sparrow", "a bird", "animal"}, {"a robin", "a bird", "animal"},
    {"a parrot", "a bird", "animal"}, {"a crow", "a bird", "animal"}, {"a pigeon", "a bird", "animal"},
    {"a swan", "a bird", "animal"}, {"a duck", "a bird", "animal"}, {"a falcon", "a bird", "animal"},
    {"a stork", "a bird", "animal"}, {"a penguin", "a bird", "animal"}, {"football", "a sport", "sport"},
    {"tennis", "a sport", "sport"}, {"swimming", "a sport", "sport"}, {"boxing", "a sport", "sport"},
    {"golf", "a sport", "sport"}, {"rugby", "a sport", "sport"}, {"hockey", "a sport", "sport"},
    {"basketball", "a sport", "sport"}, {"skiing", "a sport", "sport"}, {"volleyball", "a sport", "sport"},
    {"wrestling", "a sport", "sport"}, {"cricket", "a sport", "sport"}, {"an oak", "a tree", "plant"},
    {"a pine", "a tree", "plant"}, {"a birch", "a tree", "plant"}, {"a maple", "a tree", "plant"},
    {"a willow", "a tree", "plant"}, {"an elm", "a tree", "plant"}, {"a beech", "a tree", "plant"},
    {"a cedar", "a tree", "plant"}, {"a fir", "a tree", "plant"}, {"a spruce", "a tree", "plant"},
    {"a poplar", "a tree", "plant"}, {"a redwood", "a tree", "plant"}});

constexpr auto uses = std::to_array<SenseFact>({{"scissors", "cut paper", "cut"}, {"a knife", "cut bread", "cut"},
    {"an umbrella", "stay dry in the rain", "rain"}, {"a towel", "dry your hands", "cloth"},
    {"a broom", "sweep the floor", "clean"}, {"a mop", "wash the floor", "clean"},
    {"a pillow", "rest your head in bed", "bed"}, {"a blanket", "keep warm in bed", "bed"},
    {"a hammer", "drive a nail into wood", "tool"}, {"a screwdriver", "turn a screw", "tool"},
    {"a saw", "cut a plank of wood", "tool"}, {"a spoon", "eat soup", "cutlery"}, {"a cup", "drink tea", "drink"},
    {"a pan", "fry an egg", "cook"}, {"an oven", "bake bread", "cook"}, {"a refrigerator", "keep milk cold", "cold"},
    {"a lamp", "read in the dark", "light"}, {"a candle", "light a room without electricity", "light"},
    {"a key", "unlock a door", "lock"}, {"a clock", "see what time it is", "time"},
    {"a calendar", "see which day it is", "time"}, {"a map", "find the way in a strange town", "way"},
    {"a compass", "find out where north is", "way"}, {"a telephone", "call a friend", "talk"},
    {"a pen", "write a letter", "write"}, {"an eraser", "remove pencil marks", "write"},
    {"a ruler", "measure a short line", "measure"}, {"a scale", "weigh a bag of apples", "measure"},
    {"a thermometer", "take your temperature", "measure"}, {"a mirror", "look at your own face", "mirror"},
    {"a comb", "tidy your hair", "hair"}, {"a toothbrush", "clean your teeth", "teeth"},
    {"soap", "wash your hands", "wash"}, {"a needle", "sew on a button", "sew"},
    {"a ladder", "reach a high roof", "climb"}, {"a rope", "tie up a boat", "tie"},
    {"a shovel", "dig a hole", "garden"}, {"a rake", "gather fallen leaves", "garden"},
    {"a bucket", "carry water", "water"}, {"a hose", "water the garden", "water"}, {"a boat", "cross a lake", "travel"},
    {"a bicycle", "ride to school", "travel"}, {"an airplane", "fly to another country", "travel"},
    {"a tent", "sleep outside in the woods", "camp"}, {"a backpack", "carry books to school", "carry"},
    {"a suitcase", "pack clothes for a journey", "carry"}, {"a camera", "take a photograph", "picture"},
    {"a brush", "paint a wall", "picture"}, {"a guitar", "play a song", "music"},
    {"a microscope", "see very small things", "see"}, {"a telescope", "look at the stars", "see"},
    {"a stove", "boil water for pasta", "cook"}, {"gloves", "keep your hands warm", "wear"},
    {"boots", "walk through deep snow", "wear"}, {"a helmet", "protect your head on a motorcycle", "wear"},
    {"a match", "start a fire", "fire"}, {"a net", "catch fish", "fish"}, {"a stamp", "send a letter by mail", "mail"},
    {"a wallet", "keep money in your pocket", "money"}, {"a whistle", "make a loud sound during a game", "sound"}});

constexpr auto properties = std::to_array<SenseFact>({{"ice", "cold", "water"}, {"fire", "hot", "fire"},
    {"a lemon", "sour", "fruit"}, {"honey", "sweet", "sweet"}, {"a feather", "very light", "feather"},
    {"a rock", "heavy", "stone"}, {"snow", "white", "water"}, {"grass", "green", "plant"},
    {"the sky on a clear day", "blue", "sky"}, {"a banana", "yellow", "fruit"}, {"a strawberry", "red", "fruit"},
    {"coal", "black", "mine"}, {"a diamond", "very hard", "stone"}, {"a pillow", "soft", "bed"},
    {"a knife", "sharp", "tool"}, {"a ball", "round", "toy"}, {"a snail", "slow", "animal"},
    {"a cheetah", "fast", "animal"}, {"an elephant", "very large", "animal"}, {"an ant", "tiny", "animal"},
    {"the sun", "bright", "star"}, {"the ocean", "salty", "sea"}, {"glass", "easy to break", "glass"},
    {"iron", "a metal", "metal"}, {"a rose", "a flower", "flower"}, {"an oak", "a tree", "tree"},
    {"a carrot", "a vegetable", "vegetable"}, {"an apple", "a fruit", "fruit"}, {"a salmon", "a fish", "fish"},
    {"an eagle", "a bird", "bird"}, {"a violin", "an instrument", "music"}, {"a chair", "furniture", "furniture"},
    {"a shirt", "clothing", "clothes"}, {"a bee", "an insect", "insect"}, {"milk", "a drink", "drink"},
    {"a truck", "a vehicle", "vehicle"}, {"football", "a sport", "sport"}, {"winter", "a season", "season"},
    {"a doctor", "a person", "person"}, {"a novel", "something to read", "book"}});

constexpr auto places = std::to_array<SenseFact>({{"a bed", "bedroom", "home"}, {"a stove", "kitchen", "home"},
    {"a bathtub", "bathroom", "home"}, {"a fish", "river", "water"}, {"a whale", "ocean", "water"},
    {"a cow", "farm", "farm"}, {"a lion", "zoo", "zoo"}, {"a book", "library", "book"},
    {"a teacher", "school", "school"}, {"a doctor", "hospital", "health"}, {"a plane", "airport", "travel"},
    {"a train", "station", "travel"}, {"a camel", "desert", "desert"}, {"a monkey", "jungle", "wood"},
    {"a deer", "forest", "wood"}, {"a painting", "museum", "art"}, {"an actor", "theater", "art"},
    {"bread", "bakery", "shop"}, {"medicine", "pharmacy", "shop"}, {"money", "bank", "money"},
    {"a prisoner", "prison", "law"}, {"a judge", "court", "law"}, {"a tent", "campsite", "camp"},
    {"sand", "beach", "beach"}, {"a penguin", "Antarctica", "ice"}, {"a skyscraper", "city", "city"},
    {"a roller coaster", "amusement park", "park"}, {"a priest", "church", "church"}, {"a chef", "restaurant", "food"},
    {"a letter", "mailbox", "mail"}, {"a car", "garage", "car"}, {"flowers", "garden", "garden"},
    {"an airplane pilot", "cockpit", "travel"}, {"a swimmer", "swimming pool", "water"},
    {"a soldier", "army base", "army"}, {"an astronaut", "space station", "space"}, {"a king", "palace", "palace"},
    {"a bird's egg", "nest", "nest"}, {"a spider", "web", "web"}, {"a bat", "cave", "cave"}});

} // namespace

std::span<const SenseFact> kindFacts()
{
    return kinds;
}
std::span<const SenseFact> useFacts()
{
    return uses;
}
std::span<const SenseFact> propertyFacts()
{
    return properties;
}
std::span<const SenseFact> placeFacts()
{
    return places;
}

} // namespace kvloupe
