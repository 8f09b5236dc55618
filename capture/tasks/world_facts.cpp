// SPDX-License-Identifier: GPL-3.0-or-later

#include "capture/tasks/world_facts.h"

#include <array>

namespace kvloupe {

namespace {

constexpr auto countries = std::to_array<CountryFact>({{"France", "Paris", "Europe", 1},
    {"Germany", "Berlin", "Europe", 1}, {"Italy", "Rome", "Europe", 1}, {"Spain", "Madrid", "Europe", 1},
    {"Portugal", "Lisbon", "Europe", 1}, {"the United Kingdom", "London", "Europe", 1},
    {"Ireland", "Dublin", "Europe", 1}, {"Belgium", "Brussels", "Europe", 1},
    {"the Netherlands", "Amsterdam", "Europe", 1}, {"Austria", "Vienna", "Europe", 1},
    {"Switzerland", "Bern", "Europe", 1}, {"Poland", "Warsaw", "Europe", 1}, {"Hungary", "Budapest", "Europe", 1},
    {"Greece", "Athens", "Europe", 1}, {"Norway", "Oslo", "Europe", 1}, {"Sweden", "Stockholm", "Europe", 1},
    {"Finland", "Helsinki", "Europe", 1}, {"Denmark", "Copenhagen", "Europe", 1}, {"Iceland", "Reykjavik", "Europe", 1},
    {"Ukraine", "Kyiv", "Europe", 1}, {"Romania", "Bucharest", "Europe", 1}, {"Bulgaria", "Sofia", "Europe", 1},
    {"Serbia", "Belgrade", "Europe", 1}, {"Croatia", "Zagreb", "Europe", 1}, {"Japan", "Tokyo", "Asia", 1},
    {"China", "Beijing", "Asia", 1}, {"South Korea", "Seoul", "Asia", 1}, {"India", "New Delhi", "Asia", 1},
    {"Thailand", "Bangkok", "Asia", 1}, {"Vietnam", "Hanoi", "Asia", 1}, {"Pakistan", "Islamabad", "Asia", 1},
    {"Iran", "Tehran", "Asia", 1}, {"Iraq", "Baghdad", "Asia", 1}, {"Saudi Arabia", "Riyadh", "Asia", 1},
    {"Afghanistan", "Kabul", "Asia", 1}, {"Nepal", "Kathmandu", "Asia", 1}, {"Syria", "Damascus", "Asia", 1},
    {"Lebanon", "Beirut", "Asia", 1}, {"Jordan", "Amman", "Asia", 1}, {"the Philippines", "Manila", "Asia", 1},
    {"Egypt", "Cairo", "Africa", 1}, {"Kenya", "Nairobi", "Africa", 1}, {"Nigeria", "Abuja", "Africa", 1},
    {"Morocco", "Rabat", "Africa", 1}, {"Tunisia", "Tunis", "Africa", 1}, {"Algeria", "Algiers", "Africa", 1},
    {"Ethiopia", "Addis Ababa", "Africa", 1}, {"Senegal", "Dakar", "Africa", 1}, {"Ghana", "Accra", "Africa", 1},
    {"Canada", "Ottawa", "North America", 1}, {"Mexico", "Mexico City", "North America", 1},
    {"Cuba", "Havana", "North America", 1}, {"Jamaica", "Kingston", "North America", 1},
    {"Argentina", "Buenos Aires", "South America", 1}, {"Chile", "Santiago", "South America", 1},
    {"Peru", "Lima", "South America", 1}, {"Colombia", "Bogotá", "South America", 1},
    {"Ecuador", "Quito", "South America", 1}, {"Venezuela", "Caracas", "South America", 1},
    {"Uruguay", "Montevideo", "South America", 1}, {"Australia", "Canberra", "Oceania", 1},
    {"New Zealand", "Wellington", "Oceania", 1}, {"the Czech Republic", "Prague", "Europe", 2},
    {"Slovakia", "Bratislava", "Europe", 2}, {"Slovenia", "Ljubljana", "Europe", 2}, {"Albania", "Tirana", "Europe", 2},
    {"Estonia", "Tallinn", "Europe", 2}, {"Latvia", "Riga", "Europe", 2}, {"Lithuania", "Vilnius", "Europe", 2},
    {"Belarus", "Minsk", "Europe", 2}, {"Moldova", "Chișinău", "Europe", 2}, {"North Macedonia", "Skopje", "Europe", 2},
    {"Montenegro", "Podgorica", "Europe", 2}, {"Bosnia and Herzegovina", "Sarajevo", "Europe", 2},
    {"Malta", "Valletta", "Europe", 2}, {"Mongolia", "Ulaanbaatar", "Asia", 2}, {"Bangladesh", "Dhaka", "Asia", 2},
    {"Cambodia", "Phnom Penh", "Asia", 2}, {"Laos", "Vientiane", "Asia", 2}, {"Uzbekistan", "Tashkent", "Asia", 2},
    {"Kazakhstan", "Astana", "Asia", 2}, {"Kyrgyzstan", "Bishkek", "Asia", 2}, {"Tajikistan", "Dushanbe", "Asia", 2},
    {"Turkmenistan", "Ashgabat", "Asia", 2}, {"Oman", "Muscat", "Asia", 2}, {"Qatar", "Doha", "Asia", 2},
    {"Bahrain", "Manama", "Asia", 2}, {"the United Arab Emirates", "Abu Dhabi", "Asia", 2},
    {"Malaysia", "Kuala Lumpur", "Asia", 2}, {"North Korea", "Pyongyang", "Asia", 2}, {"Bhutan", "Thimphu", "Asia", 2},
    {"Uganda", "Kampala", "Africa", 2}, {"Rwanda", "Kigali", "Africa", 2}, {"Zambia", "Lusaka", "Africa", 2},
    {"Zimbabwe", "Harare", "Africa", 2}, {"Mozambique", "Maputo", "Africa", 2}, {"Angola", "Luanda", "Africa", 2},
    {"Namibia", "Windhoek", "Africa", 2}, {"Botswana", "Gaborone", "Africa", 2}, {"Sudan", "Khartoum", "Africa", 2},
    {"Somalia", "Mogadishu", "Africa", 2}, {"Libya", "Tripoli", "Africa", 2}, {"Mali", "Bamako", "Africa", 2},
    {"Niger", "Niamey", "Africa", 2}, {"Chad", "N'Djamena", "Africa", 2}, {"Cameroon", "Yaoundé", "Africa", 2},
    {"Gabon", "Libreville", "Africa", 2}, {"Liberia", "Monrovia", "Africa", 2},
    {"Madagascar", "Antananarivo", "Africa", 2}, {"Costa Rica", "San José", "North America", 2},
    {"Honduras", "Tegucigalpa", "North America", 2}, {"Nicaragua", "Managua", "North America", 2},
    {"Panama", "Panama City", "North America", 2}, {"Haiti", "Port-au-Prince", "North America", 2},
    {"the Dominican Republic", "Santo Domingo", "North America", 2},
    {"El Salvador", "San Salvador", "North America", 2}, {"Paraguay", "Asunción", "South America", 2},
    {"Guyana", "Georgetown", "South America", 2}, {"Suriname", "Paramaribo", "South America", 2},
    {"Fiji", "Suva", "Oceania", 2}, {"Papua New Guinea", "Port Moresby", "Oceania", 2},
    {"Brazil", "Brasília", "South America", 2}});

// Symbols that are English words (He, I, As, In, At, Be, No) are left out: they cannot be told from prose.
constexpr auto elements = std::to_array<PairFact>({{"hydrogen", "H"}, {"lithium", "Li"}, {"carbon", "C"},
    {"nitrogen", "N"}, {"oxygen", "O"}, {"fluorine", "F"}, {"neon", "Ne"}, {"sodium", "Na"}, {"magnesium", "Mg"},
    {"aluminium", "Al"}, {"silicon", "Si"}, {"phosphorus", "P"}, {"sulfur", "S"}, {"chlorine", "Cl"}, {"argon", "Ar"},
    {"potassium", "K"}, {"calcium", "Ca"}, {"titanium", "Ti"}, {"chromium", "Cr"}, {"manganese", "Mn"}, {"iron", "Fe"},
    {"cobalt", "Co"}, {"nickel", "Ni"}, {"copper", "Cu"}, {"zinc", "Zn"}, {"gallium", "Ga"}, {"selenium", "Se"},
    {"bromine", "Br"}, {"krypton", "Kr"}, {"rubidium", "Rb"}, {"strontium", "Sr"}, {"zirconium", "Zr"},
    {"silver", "Ag"}, {"cadmium", "Cd"}, {"tin", "Sn"}, {"antimony", "Sb"}, {"xenon", "Xe"}, {"caesium", "Cs"},
    {"barium", "Ba"}, {"tungsten", "W"}, {"platinum", "Pt"}, {"gold", "Au"}, {"mercury", "Hg"}, {"lead", "Pb"},
    {"bismuth", "Bi"}, {"radon", "Rn"}, {"radium", "Ra"}, {"thorium", "Th"}, {"uranium", "U"}, {"plutonium", "Pu"}});

constexpr auto currencies = std::to_array<PairFact>(
    {{"Japan", "yen"}, {"the United Kingdom", "pound"}, {"Germany", "euro"}, {"the United States", "dollar"},
        {"India", "rupee"}, {"China", "yuan"}, {"South Korea", "won"}, {"Russia", "ruble"}, {"Mexico", "peso"},
        {"Brazil", "real"}, {"Switzerland", "franc"}, {"Sweden", "krona"}, {"Norway", "krone"}, {"Denmark", "krone"},
        {"Poland", "zloty"}, {"Hungary", "forint"}, {"the Czech Republic", "koruna"}, {"Turkey", "lira"},
        {"Thailand", "baht"}, {"Vietnam", "dong"}, {"Israel", "shekel"}, {"South Africa", "rand"}, {"Egypt", "pound"},
        {"Nigeria", "naira"}, {"Kenya", "shilling"}, {"Ukraine", "hryvnia"}, {"Argentina", "peso"}, {"Chile", "peso"},
        {"Peru", "sol"}, {"Canada", "dollar"}, {"Australia", "dollar"}, {"France", "euro"}, {"Spain", "euro"},
        {"Italy", "euro"}, {"Malaysia", "ringgit"}, {"Saudi Arabia", "riyal"}, {"Kuwait", "dinar"},
        {"Morocco", "dirham"}, {"Pakistan", "rupee"}, {"Mongolia", "tugrik"}});

constexpr auto youngAnimals = std::to_array<PairFact>({{"cat", "kitten"}, {"dog", "puppy"}, {"cow", "calf"},
    {"horse", "foal"}, {"sheep", "lamb"}, {"goat", "kid"}, {"pig", "piglet"}, {"hen", "chick"}, {"duck", "duckling"},
    {"goose", "gosling"}, {"swan", "cygnet"}, {"frog", "tadpole"}, {"bear", "cub"}, {"lion", "cub"},
    {"kangaroo", "joey"}, {"deer", "fawn"}, {"owl", "owlet"}, {"elephant", "calf"}, {"fox", "cub"}, {"whale", "calf"},
    {"tiger", "cub"}, {"eagle", "eaglet"}, {"hare", "leveret"}});

constexpr auto opposites
    = std::to_array<PairFact>({{"hot", "cold"}, {"big", "small"}, {"high", "low"}, {"day", "night"}, {"black", "white"},
        {"open", "closed"}, {"full", "empty"}, {"fast", "slow"}, {"happy", "sad"}, {"old", "young"}, {"long", "short"},
        {"wet", "dry"}, {"light", "dark"}, {"early", "late"}, {"strong", "weak"}, {"rich", "poor"}, {"hard", "soft"},
        {"clean", "dirty"}, {"loud", "quiet"}, {"left", "right"}, {"up", "down"}, {"in", "out"}, {"first", "last"},
        {"good", "bad"}, {"true", "false"}, {"thick", "thin"}, {"wide", "narrow"}, {"deep", "shallow"}, {"near", "far"},
        {"win", "lose"}, {"buy", "sell"}, {"push", "pull"}, {"give", "take"}, {"begin", "end"}, {"before", "after"},
        {"above", "below"}, {"inside", "outside"}, {"front", "back"}, {"always", "never"}, {"love", "hate"},
        {"north", "south"}, {"east", "west"}, {"friend", "enemy"}, {"question", "answer"}, {"war", "peace"},
        {"summer", "winter"}, {"sharp", "blunt"}, {"heavy", "light"}, {"sweet", "sour"}, {"alive", "dead"}});

} // namespace

std::span<const CountryFact> countryFacts()
{
    return countries;
}
std::span<const PairFact> elementFacts()
{
    return elements;
}
std::span<const PairFact> currencyFacts()
{
    return currencies;
}
std::span<const PairFact> youngAnimalFacts()
{
    return youngAnimals;
}
std::span<const PairFact> oppositeFacts()
{
    return opposites;
}

} // namespace kvloupe
